"""Which way traffic goes, as the hospital sees it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network

from ingest.address import address

# What a hospital numbers its own machines with: RFC 1918, 3927, 4193, 4291, 6598. Not `is_private`, which also holds
# the documentation ranges of RFC 5737.
_INSIDE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
_DIRECTIONS = {
    (True, True): "internal",
    (True, False): "outbound",
    (False, True): "inbound",
    (False, False): "external",
}


def direction(source: str, destination: str) -> str | None:
    """Return ECS ``network.direction`` as the hospital sees it; None when an address is missing."""
    ends = address(source), address(destination)
    if not all(ends):
        return None
    return _DIRECTIONS[_inside(ends[0]), _inside(ends[1])]


def _inside(text: str) -> bool:
    """Tell whether an address is the hospital's; of IPv4 the first two numbers tell it."""
    return _is_of(text if ":" in text else f"{text.rsplit('.', 2)[0]}.0.0")


@lru_cache(maxsize=65_536)
def _is_of(text: str) -> bool:
    found = ip_address(text)
    return any(found.version == network.version and found in network for network in _INSIDE)
