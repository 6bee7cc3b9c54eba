"""Free ports and waiting for conditions."""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable

_LEAST, _MOST = 20_000, 32_000


def free_port() -> int:
    """Return one TCP port of loopback, as ``free_block`` does."""
    return free_block(1)


_given: set[int] = set()
"""Ports that this process was told of: their servers may not have opened them yet."""


def free_block(count: int) -> int:
    """Return the first of ``count`` consecutive TCP ports that are free now and were not given before.

    They lie below the range from which Linux takes the ports of outgoing connections (ip_local_port_range): else such
    a connection takes one before its server has started, or started again, and a client may even meet itself. Test
    processes that run side by side have a share each, so that none takes the port of a server that another will start.
    """
    least, most = _share()
    while True:
        first = random.randrange(least, most - count)  # noqa: S311 a port, not a secret
        ports = range(first, first + count)
        if _given.isdisjoint(ports) and all(_is_free(port) for port in ports):
            _given.update(ports)
            return first


def _share() -> tuple[int, int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (_MOST - _LEAST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return _LEAST + worker * size, _LEAST + (worker + 1) * size


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], object], *, timeout_s: float = 30.0, what: str = "condition") -> None:
    """Return as soon as the condition is true; raises TimeoutError naming ``what``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} not reached in {timeout_s:.0f} s")
        time.sleep(0.05)
