"""IP addresses in records."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(maxsize=4096)
def address(text: str) -> str:
    """Return the IP address in its usual form, or "" for text that is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
