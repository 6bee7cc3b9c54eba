"""The program's own log: one JSON object a line on standard error, secrets never in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from pydantic import SecretStr

_SECRET = ("password", "secret", "token", "authorization", "cookie", "credential")


def configure(level: str = "info", **context: str) -> None:
    """Write structlog events from this level on as JSON lines; ``context`` (stage, instance) is in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(**context)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name or type says that they are secret."""
    for name, value in event.items():
        if isinstance(value, SecretStr) or any(word in name.lower() for word in _SECRET):
            event[name] = "[redacted]"
    return event
