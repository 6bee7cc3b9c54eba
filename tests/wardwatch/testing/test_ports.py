"""Ports for servers that start later."""

from __future__ import annotations

import pytest

from wardwatch.testing.ports import free_block


def test_no_port_is_given_twice() -> None:
    ports = [first + number for first in (free_block(20) for _ in range(60)) for number in range(20)]
    assert len(set(ports)) == len(ports)


def test_processes_side_by_side_are_given_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    given = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        given.append([free_block(1) for _ in range(200)])
    assert max(given[0]) < min(given[1])
