"""VMware vCenter Server: ``vpxd … Event [id] [1-1] [time] [vim.event.Type] [info] [user] [datacenter] [id] [text]``.

Source: no manual describes the line; its form is that of samples in public parsers for vCenter 6.7 to 8. What events
mean is from the vSphere Web Services API reference (data objects that extend Event). The text is never copied.
"""

from __future__ import annotations

import re

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import moment
from ingest.parsers.fields import classify, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "vcenter"
_LOGSOURCE = LogSource("vmware", "", "vcenter")
_EVENT = re.compile(
    r"Event \[\d{1,18}\] \[\d{1,6}-\d{1,6}\] \[([^\]]{10,40})\] \[([\w.-]{1,128})\] \[(\w{0,16})\] \[([^\]]{0,256})\] "
    r"\[([^\]]{0,256})\] \[\d{0,18}\] ?(?:\[(.*))?",
    re.S,
)
_PEER = re.compile(r"@([\d.]{7,15}|[0-9A-Fa-f:]{3,45})\b")
_AGENT = re.compile(r"logged in as (.{1,512}?)\]?$", re.S)
_MEANINGS = (
    (re.compile(r"UserLogin|UserLogout|BadUsername|LoginFailure|NoAccess|sso\.\w*Login", re.I), "login"),
    (re.compile(r"Permission|Role|Account|Password|User(?:Assign|Unassign)", re.I), "iam"),
    (re.compile(r"Vm(?:Created|Cloned|Deployed|Registered|Being)", re.I), "creation"),
    (re.compile(r"Removed|Destroyed|Deleted", re.I), "deletion"),
    (re.compile(r"PoweredOff|Suspended|Stopp", re.I), "end"),
    (re.compile(r"PoweredOn|Start", re.I), "start"),
    (re.compile(r"Reconfigured|Changed|Updated|Renamed|Relocated|Migrated|Snapshot", re.I), "change"),
)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError when it holds no ``Event [id]``."""
    frame = text(record.data, site.charset).strip()
    found = _EVENT.search(frame)
    if not found:
        raise ParseError("no Event [id] [1-1] [time] [type] of vCenter", step=_STEP)
    time, kind, level, user, place, said = found.groups()
    doc: Document = {
        "@timestamp": moment(time, site.zone, step=_STEP),
        "event.kind": "event",
        "event.module": "vmware",
        "event.dataset": "vmware.vcenter",
        "event.code": kind,
    }
    put(doc, "log.level", level)
    put(doc, "user.name", user)
    put(doc, "vmware.datacenter", place)
    put(doc, "observer.name", header(frame[: found.start()], record, site, step=_STEP)[1])
    _categorise(doc, kind, said or "")
    return [Parsed(doc, _LOGSOURCE)]


def _categorise(doc: Document, kind: str, said: str) -> None:
    failed = re.search(r"Fail|Bad|NoAccess|Error|Denied", kind) is not None
    outcome = "failure" if failed else "success"
    meaning = next((meaning for pattern, meaning in _MEANINGS if pattern.search(kind)), "info")
    if meaning == "login":
        peer, agent = _PEER.search(said), _AGENT.search(said)
        put(doc, "source.ip", peer and peer[1])
        put(doc, "user_agent.original", agent and agent[1])
        firewall_events.login(doc, failed=failed, ended="Logout" in kind, where="vcenter")
    elif meaning == "iam":
        classify(doc, "iam", "change", "vcenter-permissions", outcome)
    else:
        classify(doc, ["host", "configuration"], meaning, f"vcenter-{meaning}", outcome)


PARSER = Parser(
    "vcenter",
    lines,
    parse,
    {"user.name": Action.STAFF, "user_agent.original": Action.MASK},
    title="VMware vCenter Server",
    reads="vpxd events (logins, permissions, virtual machines) by syslog",
    logsources=(_LOGSOURCE,),
)
