"""Lookups that add context to an event, one per kind of context."""
