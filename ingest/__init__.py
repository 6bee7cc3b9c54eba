"""Collectors: listeners, parsers, scrub, spool; one collector per hospital site."""
