"""Context for events and the scheduled jobs."""
