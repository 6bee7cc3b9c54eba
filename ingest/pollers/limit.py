"""A limit on what a server may take in all, however often it says a little."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def limited(seconds: float, close: Callable[[], object]) -> Iterator[None]:
    """Call ``close`` from another thread when the block takes longer."""
    timer = threading.Timer(seconds, close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
