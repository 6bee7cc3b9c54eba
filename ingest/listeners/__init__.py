"""Listeners, one per transport."""
