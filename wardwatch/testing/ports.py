"""Free ports and waiting for conditions."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_block(count: int) -> int:
    """Return the first of ``count`` consecutive TCP ports that are free now.

    They lie below the range from which Linux takes the ports of outgoing connections (ip_local_port_range), so that
    nothing else takes one meanwhile.
    """
    while True:
        first = random.randrange(20_000, 32_000 - count)  # noqa: S311 a port, not a secret
        if all(_is_free(port) for port in range(first, first + count)):
            return first


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
