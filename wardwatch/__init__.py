"""The kernel that all stages share: events, bus, store, tables, settings, supervisor and command line."""

__version__ = "0.1.0"
