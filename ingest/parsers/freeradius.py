"""FreeRADIUS: ``Auth: (5) Login OK: [user] (from client sw1 port 3 cli AA-BB-CC-DD-EE-FF)`` of radius.log or syslog.

Source: FreeRADIUS documentation, radiusd.conf (log section: auth, auth_accept, auth_reject, msg_goodpass, msg_badpass).
Passwords that a site has logged and the module's words are never copied.
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.fields import put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "freeradius"
_LOGSOURCE = LogSource("freeradius", "authentication", "radius")
_LOG = re.compile(
    r"(?:Auth: )?(?:\(\d{1,12}\) {1,4})?(?P<verdict>Login OK|Login incorrect|Invalid user|rlm_\w{1,32}: .{1,64}?)"
    r"(?: \((?P<why>[^)]{1,512})\))?: \[(?P<user>(?:host/)?[^\]/]{0,256})(?:/[^\]]{0,512})?\] "
    r"\(from client (?P<client>\S{1,128}) port (?P<port>\d{1,12})"
    r"(?: cli (?P<station>\S{1,128}))?(?P<tunnel> via TLS tunnel)?\)"
)
_RADIUS_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}) : ?")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a login; raises ParseError for any other line."""
    frame = text(record.data, site.charset).strip()
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no Login OK or Login incorrect of a FreeRADIUS log", step=_STEP)
    before = frame[: found.start()]
    own = _RADIUS_TIME.search(before)
    time, name = header(f"{own[1]} " if own else before.partition("radiusd")[0], record, site, step=_STEP)
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "freeradius",
        "event.dataset": "freeradius.auth",
        "freeradius.tunnel": found["tunnel"] is not None,
    }
    put(doc, "observer.name", name)
    put(doc, "user.name", found["user"])
    put(doc, "freeradius.client", found["client"])
    put(doc, "freeradius.nas_port", found["port"])
    put(doc, "client.mac", found["station"])
    put(doc, "source.ip", found["station"])
    firewall_events.login(doc, failed=found["verdict"] != "Login OK", where="network")
    return [Parsed(doc, _LOGSOURCE)]


PARSER = Parser(
    "freeradius",
    lines,
    parse,
    {"user.name": Action.STAFF},
    title="FreeRADIUS",
    reads="accepted and refused logins of radius.log or syslog",
    logsources=(_LOGSOURCE,),
)
