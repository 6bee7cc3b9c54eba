"""Every error that wardwatch raises, as one tree.

::

    WardwatchError
    ├── SettingsError          a setting is wrong or unknown: refused at start
    ├── RecordError            one record can't be processed, however often it is tried: dead letter
    │   ├── DecodeError        the codec refused the bytes
    │   ├── ParseError         a source's parser refused the record
    │   ├── ScrubError         the record could not be scrubbed, so it must not leave the hospital
    │   ├── RecordTooLarge     the bus does not carry a record of this size
    │   └── RejectedByStore    the store refused the document
    ├── RuleError              a rule can't be loaded; the others go on
    ├── Unavailable            try again later: nothing is lost
    │   ├── BusUnavailable
    │   │   └── BusRefused     it does not let us in, or not do this, until somebody grants it
    │   ├── StoreUnavailable
    │   └── SpoolFull          back-pressure: the sources are told to wait
    ├── NotFound               no such document in the caller's tenants
    ├── Conflict               somebody changed the document since it was read
    └── Forbidden              the caller's scope does not hold this tenant or action

An error names its ``step`` (the stage or component), its ``record`` (a position a person can look up) and, where there
is one, the ``remedy``. ``permanent`` decides between dead letter and retry.
"""

from __future__ import annotations


class WardwatchError(Exception):
    """Base of the tree: a reason, the step and record it happened at, and what to do about it."""

    permanent = True

    def __init__(self, reason: str, *, step: str = "", record: str = "", remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.step = step
        self.record = record
        self.remedy = remedy

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.step, self.record) if part)
        text = f"{where}: {self.reason}" if where else self.reason
        return f"{text} ({self.remedy})" if self.remedy else text


class SettingsError(WardwatchError):
    """A setting is wrong or unknown."""


class RecordError(WardwatchError):
    """One record can't be processed, however often it is tried."""


class DecodeError(RecordError):
    """The codec refused the bytes."""


class ParseError(RecordError):
    """A source's parser refused the record."""


class ScrubError(RecordError):
    """The record could not be scrubbed, so it must not leave the hospital."""


class RecordTooLarge(RecordError):
    """The bus does not carry a record of this size."""


class RejectedByStore(RecordError):
    """The store refused the document."""


class RuleError(WardwatchError):
    """A rule can't be loaded."""


class Unavailable(WardwatchError):
    """A server, a disk or a queue can't take work now."""

    permanent = False


class BusUnavailable(Unavailable):
    """The bus does not answer."""


class BusRefused(BusUnavailable):
    """The bus does not let us in, or not do this, until somebody grants it: what waits is kept meanwhile."""


class StoreUnavailable(Unavailable):
    """The store does not answer."""


class SpoolFull(Unavailable):
    """The spool has reached its limit."""


class NotFound(WardwatchError):
    """No such document in the caller's tenants."""


class Conflict(WardwatchError):
    """Somebody changed the document since it was read."""


class Forbidden(WardwatchError):
    """The caller's scope does not hold this tenant or action."""
