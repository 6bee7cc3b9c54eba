"""Ports for servers that start later."""

from __future__ import annotations

from wardwatch.testing.ports import free_block


def test_no_port_is_given_twice() -> None:
    ports = [first + number for first in (free_block(20) for _ in range(60)) for number in range(20)]
    assert len(set(ports)) == len(ports)
