"""Notifications: who is told what, over which channel, exactly as often as needed (docs/operator/notifications.md)."""
