"""Linux auditd: records of one event, ``type=… msg=audit(time:serial): …``, joined by their serial.

The records of one event are joined, also where those of others lie between them: they end with EOE, which auditd hands
to its plugins but does not write to its log, else after two seconds of the log's own clock. Events of user space are of
one record. Values in hex are text that held
spaces or quotes. Sources: audit-userspace wiki "audit record fields", auditctl(8), auditd.conf(5). SigmaHQ's rules of
product linux, service auditd name the raw fields (type, a0, exe, key): they are kept as ``auditd.*``, the arguments of
a command up to the eighth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.joining import Part, joined
from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.clock import epoch
from ingest.parsers.fields import classify, fill, put
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "auditd"
_LOGSOURCE = LogSource("linux", service="auditd")
_HEAD = re.compile(r"(?:type=(\w{1,40}) )?msg=audit\((\d{9,11}\.\d{3}):(\d{1,18})\): ?")
_PART = re.compile(rb"type=([\w\[\]]{1,40}) msg=audit\((\d{9,11}\.\d{3}):(\d{1,18})\)")
_HOST = re.compile(rb"node=(\S{1,255})|^<\d{1,3}>(?:1 \S{1,40} |[A-Z][a-z]{2} [ \d]\d [\d:]{8} )(\S{1,255})")
_OF_SEVERAL = frozenset(
    b"SYSCALL PATH IPC SOCKETCALL CONFIG_CHANGE SOCKADDR CWD EXECVE IPC_SET_PERM MQ_OPEN MQ_SENDRECV MQ_NOTIFY "
    b"MQ_GETSETATTR KERNEL_OTHER FD_PAIR OBJ_PID TTY EOE BPRM_FCAPS CAPSET MMAP NETFILTER_PKT NETFILTER_CFG SECCOMP "
    b"PROCTITLE FEATURE_CHANGE REPLACE KERN_MODULE FANOTIFY TIME_INJOFFSET TIME_ADJNTPVAL BPF EVENT_LISTENER URINGOP "
    b"OPENAT2 DM_CTRL DM_EVENT AVC SELINUX_ERR AVC_PATH MAC_POLICY_LOAD MAC_STATUS MAC_CONFIG_CHANGE "
    b"ANOM_PROMISCUOUS ANOM_ABEND ANOM_LINK ANOM_CREAT INTEGRITY_DATA INTEGRITY_METADATA INTEGRITY_STATUS "
    b"INTEGRITY_HASH INTEGRITY_PCR INTEGRITY_RULE".split()
)
"""Types of records by the kernel, of which one event may have several (linux/audit.h, 1300 to 1499, 1700 to 1899)."""
_PAIR = re.compile(r"([A-Za-z][\w-]{0,30})=(?:\"([^\"]*)\"|'([^']*)'|(\S*))")
_HEX = re.compile(r"(?:[0-9A-F]{2})+")
_TEXTS = ("exe", "comm", "name", "cwd", "proctitle", "cmd", "acct", "key", "data")
_ARGUMENT = re.compile(r"a\d{1,3}")
_UNSET = ("4294967295", "-1", "unset", "?", "(null)", "(none)", "")
_NAMES = {
    "exe": "process.executable",
    "comm": "process.name",
    "pid": "process.pid",
    "ppid": "process.parent.pid",
    "cwd": "process.working_directory",
    "auid": "user.id",
    "acct": "user.name",
    "uid": "user.effective.id",
    "addr": "source.ip",
    "hostname": "source.domain",
    "name": "file.path",
    "key": "auditd.key",
    "syscall": "auditd.syscall",
    "euid": "auditd.data.euid",
    "unit": "auditd.data.unit",
    "op": "auditd.operation",
    "terminal": "auditd.terminal",
    "node": "host.name",
}
_ARGUMENTS = (
    "auditd.data.a0",
    "auditd.data.a1",
    "auditd.data.a2",
    "auditd.data.a3",
    "auditd.data.a4",
    "auditd.data.a5",
    "auditd.data.a6",
    "auditd.data.a7",
)
_LOGINS = ("USER_LOGIN", "USER_AUTH", "USER_ACCT", "CRED_ACQ", "USER_START")
_IAM = ("ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP", "USER_CHAUTHTOK", "GRP_MGMT", "USER_MGMT", "ROLE_ASSIGN")
_ENDS = ("USER_END", "USER_LOGOUT", "CRED_DISP")


def split(data: bytes) -> Iterator[bytes]:
    """Cut a file into events."""
    return joined(lines(data), part)


def part(line: bytes) -> Part | None:
    """Return which event a record is of: by its time and serial, and the node or host where it names one."""
    found = _PART.search(line)
    if not found:
        return None
    kind, time, serial = found.groups()
    if kind not in _OF_SEVERAL and not kind.startswith(b"UNKNOWN[13"):
        return Part(b"", float(time))
    host = _HOST.search(line, 0, found.start())
    node = b"".join(filter(None, host.groups())) if host else b""
    return Part(b"%s:%s:%s" % (node, time, serial), float(time), ends=kind == b"EOE")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of its records; raises ParseError for what is no audit record or of two events."""
    found = [_record(line) for line in text(record.data, site.charset).splitlines() if line.strip()]
    serials = {serial for _, _, serial, _ in found}
    if len(serials) != 1:
        raise ParseError("not the records of one audit event", step=_STEP)
    _, time, serial, _ = found[0]
    doc: Document = {
        "@timestamp": epoch(time, step=_STEP),
        "event.kind": "event",
        "event.module": "auditd",
        "event.dataset": "auditd.log",
        "event.sequence": int(serial),
        "auditd.type": [kind for kind, _, _, _ in found if kind and kind != "EOE"] or ["EOE"],
    }
    values: dict[str, str] = {}
    for _, _, _, pairs in found:
        for name, value in pairs.items():
            values.setdefault(name, value)
    fill(doc, {name: value for name, value in values.items() if value not in _UNSET}, _NAMES)
    _command(doc, found)
    _categorise(doc, doc["auditd.type"], values)
    return [Parsed(doc, _LOGSOURCE)]


def _record(line: str) -> tuple[str, str, str, dict[str, str]]:
    head = _HEAD.search(line)
    if not head:
        raise ParseError("no msg=audit(time:serial) of an audit record", step=_STEP)
    pairs = dict(_pairs(line[head.end() :].partition("\x1d")[0]))
    pairs |= {name: value for name, value in _pairs(line[: head.start()]) if name == "node"}
    return head[1] or "", head[2], head[3], pairs


def _pairs(body: str) -> Iterator[tuple[str, str]]:
    for name, double, single, bare in _PAIR.findall(body):
        if single:
            yield from _pairs(single)  # msg='op=login acct="root" …' of user space
        else:
            yield name, double or (_decoded(bare) if name in _TEXTS or _ARGUMENT.fullmatch(name) else bare)


def _decoded(value: str) -> str:
    if len(value) < 4 or not _HEX.fullmatch(value):
        return value
    return bytes.fromhex(value).replace(b"\0", b" ").decode("utf-8", "replace")


def _command(doc: Document, found: list[tuple[str, str, str, dict[str, str]]]) -> None:
    arguments = next((pairs for kind, _, _, pairs in found if kind == "EXECVE"), {})
    words = [arguments[name] for name in sorted(filter(_ARGUMENT.fullmatch, arguments), key=lambda a: int(a[1:]))]
    doc.update(zip(_ARGUMENTS, words, strict=False))
    title = next((pairs.get("proctitle", "") for kind, _, _, pairs in found if kind == "PROCTITLE"), "")
    commands = next((pairs.get("cmd", "") for kind, _, _, pairs in found if kind == "USER_CMD"), "")
    put(doc, "process.command_line", " ".join(words) or commands or title)


def _categorise(doc: Document, kinds: list[str], values: dict[str, str]) -> None:
    result = values.get("success") or values.get("res") or ""
    outcome = {"yes": "success", "success": "success", "1": "success", "": "unknown"}.get(result, "failure")
    first = kinds[0] if kinds else "record"
    action = f"audit-{first.lower().replace('_', '-')}"
    if first in _LOGINS:
        classify(doc, "authentication", "start" if outcome == "success" else "info", action, outcome)
    elif first in _ENDS:
        classify(doc, "session", "end", action, outcome)
    elif first in _IAM:
        classify(doc, "iam", "change", action, outcome)
    elif first.startswith(("CONFIG_CHANGE", "DAEMON_")):
        classify(doc, "configuration", "change", action, outcome)
    elif "EXECVE" in kinds or first == "USER_CMD":
        classify(doc, "process", "start", "audit-execve", outcome)
    elif "PATH" in kinds:
        classify(doc, "file", "access", "audit-file", outcome)
    else:
        classify(doc, "host", "info", action, outcome)


PARSER = Parser(
    "auditd",
    split,
    parse,
    {
        **dict.fromkeys(("process.command_line", *_ARGUMENTS), Action.COMMAND),
        **dict.fromkeys(
            (
                "process.executable",
                "process.name",
                "process.working_directory",
                "file.path",
                "auditd.key",
                "auditd.operation",
                "auditd.terminal",
                "auditd.syscall",
                "auditd.data.euid",
                "auditd.data.unit",
                "source.domain",
                "user.name",
                "user.domain",
                "user.id",
                "user.effective.id",
                "host.name",
            ),
            Action.MASK,
        ),
    },
    title="Linux auditd",
    reads="audit.log, and audit records by syslog (audisp-syslog)",
    logsources=(_LOGSOURCE,),
    parts=part,
)
