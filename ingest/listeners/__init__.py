"""Listeners, one module per transport: they receive records and hand them to the intake.

Every connection has a thread of its own, so that a slow or hostile peer delays nobody; their number, the size of a
frame and the time it may take are limited.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Protocol

from ingest.intake import Intake, Source
from ingest.parsers import Record
from ingest.spool import Kind
from wardwatch.errors import SettingsError, Unavailable

ROOM_S = 0.2
STOP_S = 3.0


class Listener(Protocol):
    """One way in. ``name`` is shown in /health; ``address`` is host and port as bound, or the file's glob.

    ``problem`` says why nothing comes in at present, "" while all is well.
    """

    name: str
    address: str
    problem: str

    def start(self) -> None:
        """Open it and serve in threads; raises SettingsError when it can't be opened."""

    def stop(self) -> None:
        """Take nothing more, finish what was received, return within STOP_S seconds or a little more."""

    def state(self) -> dict[str, int]:
        """Return its own counters for /health."""


def split_address(listen: str, source: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; raises SettingsError."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        remedy = 'write listen = "0.0.0.0:2575"'
        raise SettingsError(f"listen {listen!r} is not host:port", step="collector", record=source, remedy=remedy)
    return host.strip("[]"), int(port)


def bind(listen: str, source: str, kind: socket.SocketKind) -> socket.socket:
    """Return a bound socket of this kind; raises SettingsError naming the source."""
    host, port = split_address(listen, source)
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:  # of UDP it would let two processes share the port
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        remedy = "choose a free port above 1023 or grant the right to bind it"
        reason = f"{listen} can't be opened: {error.strerror}"
        raise SettingsError(reason, step="collector", record=source, remedy=remedy) from None
    return opened


def address_of(opened: socket.socket) -> str:
    """Return host:port as bound."""
    host, port = opened.getsockname()[:2]
    return f"{host}:{port}"


def accept_patiently(
    intake: Intake, source: Source, records: Sequence[Record], closing: threading.Event
) -> list[Kind] | None:
    """Accept as soon as there is room, all at once or in parts; None when the listener closes before all are taken."""
    kinds: list[Kind] = []
    part = len(records)
    while len(kinds) < len(records):
        try:
            kinds += intake.accept(source, records[len(kinds) : len(kinds) + part])
            part *= 2
        except Unavailable:
            part = max(1, part // 2)  # what fits a spool that is nearly full
            if closing.wait(ROOM_S):
                return None
    return kinds
