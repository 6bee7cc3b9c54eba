"""The JSON API under ``/api/v1``: the pages' functions, answered as JSON; errors as RFC 9457 problems."""
