"""IP addresses in records."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address


@lru_cache(maxsize=4096)
def address(text: str) -> str:
    """Return the IP address in its usual form, or "" for text that is none.

    An IPv6 address loses its zone (``%eth0``), and one that stands for an IPv4 address becomes that address.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
