"""What Windows events mean: by service and event ID, their ECS categories, Sigma category and fields.

Sources: Microsoft's "Advanced security audit policy" event pages, the Sysmon manual, Sigma's log source taxonomy;
actions are named as Elastic's Windows integration names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wardwatch.channels import SERVICES
from wardwatch.event import LogSource


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: its ECS categorisation, Sigma category, and which event data go to which ECS fields."""

    action: str
    category: tuple[str, ...] = ()
    type: tuple[str, ...] = ("info",)
    outcome: str = ""
    sigma: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


_ACTOR = {"SubjectUserName": "user.name", "SubjectDomainName": "user.domain", "SubjectLogonId": "winlog.logon.id"}
_FROM = {"IpAddress": "source.ip", "IpPort": "source.port", "WorkstationName": "source.domain"}
_LOGON_ROWS = {
    "TargetUserName": "user.name",
    "TargetDomainName": "user.domain",
    "TargetLogonId": "winlog.logon.id",
    "LogonType": "winlog.logon.type",
}
_LOGON = {**_LOGON_ROWS, **_FROM, "ProcessName": "process.executable"}
_TARGET = {"TargetUserName": "user.target.name", "TargetDomainName": "user.target.domain", **_ACTOR}
_MEMBER = {"TargetUserName": "group.name", "TargetDomainName": "group.domain", "MemberName": "user.target.name"}
_SHARE = {**_ACTOR, **_FROM, "ShareName": "file.share", "RelativeTargetName": "file.path"}
_PROCESS = {
    "Image": "process.executable",
    "ProcessId": "process.pid",
    "ProcessGuid": "process.entity_id",
    "User": "user",
}
_STARTED = {
    **_PROCESS,
    "CommandLine": "process.command_line",
    "CurrentDirectory": "process.working_directory",
    "OriginalFileName": "process.pe.original_file_name",
    "Hashes": "process.hash",
    "ParentImage": "process.parent.executable",
    "ParentCommandLine": "process.parent.command_line",
    "ParentProcessId": "process.parent.pid",
    "ParentProcessGuid": "process.parent.entity_id",
    "LogonId": "winlog.logon.id",
}
_AUDITED_START = {
    **_ACTOR,
    "NewProcessName": "process.executable",
    "NewProcessId": "process.pid",
    "CommandLine": "process.command_line",
    "ParentProcessName": "process.parent.executable",
    "ProcessId": "process.parent.pid",
}
_CONNECTION = {
    **_PROCESS,
    "Protocol": "network.transport",
    "SourceIp": "source.ip",
    "SourcePort": "source.port",
    "SourceHostname": "source.domain",
    "DestinationIp": "destination.ip",
    "DestinationPort": "destination.port",
    "DestinationHostname": "destination.domain",
}
_BETWEEN = {
    "SourceImage": "process.executable",
    "SourceProcessId": "process.pid",
    "SourceProcessGuid": "process.entity_id",
    "SourceProcessGUID": "process.entity_id",
    "SourceUser": "user",
    "TargetImage": "process.target.executable",
    "TargetProcessId": "process.target.pid",
}
_FILE = {**_PROCESS, "TargetFilename": "file.path"}
_HASHED_FILE = {**_FILE, "Hashes": "file.hash"}
_REGISTRY = {**_PROCESS, "TargetObject": "registry.path", "Details": "registry.data.strings"}
_MODULE = {**_PROCESS, "ImageLoaded": "dll.path", "Hashes": "dll.hash"}
_DNS = {**_PROCESS, "QueryName": "dns.question.name", "QueryStatus": "dns.response_code"}
_THREAT = {
    "Threat Name": "threat.indicator.name",
    "Path": "file.path",
    "Process Name": "process.executable",
    "Detection User": "user",
    "Action Name": "rule.name",
}
_IAM = ("iam",)
_AUTH = ("authentication",)


def _sysmon(
    action: str, category: str, kind: str, sigma: str, fields: Mapping[str, str], *, outcome: str = "success"
) -> Kind:
    return Kind(action, (category,), (kind,), outcome, sigma, fields)


KINDS: dict[tuple[str, int], Kind] = {
    ("security", 1102): Kind("audit-log-cleared", _IAM, ("admin", "change"), "success", fields=_ACTOR),
    ("security", 4624): Kind("logged-in", _AUTH, ("start",), "success", fields=_LOGON),
    ("security", 4625): Kind("logon-failed", _AUTH, ("start",), "failure", fields=_LOGON),
    ("security", 4634): Kind("logged-out", _AUTH, ("end",), "success", fields=_LOGON_ROWS),
    ("security", 4647): Kind("logged-out", _AUTH, ("end",), "success", fields=_LOGON_ROWS),
    ("security", 4648): Kind("logged-in-explicit", _AUTH, ("start",), "success", fields={**_TARGET, **_FROM}),
    ("security", 4672): Kind("logged-in-special", _IAM, ("admin",), "success", fields=_ACTOR),
    ("security", 4688): Kind(
        "created-process", ("process",), ("start",), "success", "process_creation", fields=_AUDITED_START
    ),
    ("security", 4689): Kind(
        "exited-process",
        ("process",),
        ("end",),
        "success",
        "process_termination",
        fields={**_ACTOR, "ProcessName": "process.executable", "ProcessId": "process.pid"},
    ),
    ("security", 4697): Kind(
        "service-installed",
        ("configuration",),
        ("creation",),
        "success",
        fields={**_ACTOR, "ServiceName": "service.name", "ServiceFileName": "file.path"},
    ),
    ("security", 4698): Kind("scheduled-task-created", ("configuration",), ("creation",), "success", fields=_ACTOR),
    ("security", 4719): Kind("changed-audit-config", ("configuration",), ("change",), "success", fields=_ACTOR),
    ("security", 4720): Kind("added-user-account", _IAM, ("user", "creation"), "success", fields=_TARGET),
    ("security", 4726): Kind("deleted-user-account", _IAM, ("user", "deletion"), "success", fields=_TARGET),
    ("security", 4732): Kind(
        "added-member-to-group", _IAM, ("group", "change"), "success", fields={**_ACTOR, **_MEMBER}
    ),
    ("security", 4740): Kind("locked-out-user-account", _IAM, ("user", "change"), "success", fields=_TARGET),
    ("security", 5140): Kind("network-share-object-accessed", ("file",), ("access",), "success", fields=_SHARE),
    ("security", 5145): Kind("network-share-object-checked", ("file",), ("access",), "success", fields=_SHARE),
    ("sysmon", 1): _sysmon("process-created", "process", "start", "process_creation", _STARTED),
    ("sysmon", 2): _sysmon("file-time-changed", "file", "change", "file_change", _FILE),
    ("sysmon", 3): _sysmon("network-connection", "network", "connection", "network_connection", _CONNECTION),
    ("sysmon", 4): Kind("sysmon-state-changed", ("configuration",), ("change",), sigma="sysmon_status"),
    ("sysmon", 5): _sysmon("process-terminated", "process", "end", "process_termination", _PROCESS),
    ("sysmon", 6): _sysmon(
        "driver-loaded", "driver", "start", "driver_load", {"ImageLoaded": "file.path", "Hashes": "file.hash"}
    ),
    ("sysmon", 7): _sysmon("image-loaded", "library", "start", "image_load", _MODULE),
    ("sysmon", 8): _sysmon("remote-thread-created", "process", "change", "create_remote_thread", _BETWEEN),
    ("sysmon", 9): _sysmon("raw-disk-read", "process", "access", "raw_access_thread", _PROCESS),
    ("sysmon", 10): _sysmon("process-accessed", "process", "access", "process_access", _BETWEEN),
    ("sysmon", 11): _sysmon("file-created", "file", "creation", "file_event", _FILE),
    ("sysmon", 12): _sysmon("registry-key-changed", "registry", "change", "registry_event", _REGISTRY),
    ("sysmon", 13): _sysmon("registry-value-set", "registry", "change", "registry_set", _REGISTRY),
    ("sysmon", 14): _sysmon("registry-key-renamed", "registry", "change", "registry_rename", _REGISTRY),
    ("sysmon", 15): _sysmon("file-stream-created", "file", "creation", "create_stream_hash", _FILE),
    ("sysmon", 16): Kind("sysmon-config-changed", ("configuration",), ("change",), sigma="sysmon_status"),
    ("sysmon", 17): _sysmon("pipe-created", "process", "start", "pipe_created", _PROCESS),
    ("sysmon", 18): _sysmon("pipe-connected", "process", "access", "pipe_created", _PROCESS),
    ("sysmon", 19): _sysmon("wmi-filter-registered", "configuration", "change", "wmi_event", {"User": "user"}),
    ("sysmon", 20): _sysmon("wmi-consumer-registered", "configuration", "change", "wmi_event", {"User": "user"}),
    ("sysmon", 21): _sysmon("wmi-binding-registered", "configuration", "change", "wmi_event", {"User": "user"}),
    ("sysmon", 22): _sysmon("dns-query", "network", "connection", "dns_query", _DNS),
    ("sysmon", 23): _sysmon("file-deleted", "file", "deletion", "file_delete", _HASHED_FILE),
    ("sysmon", 24): _sysmon("clipboard-changed", "process", "change", "clipboard_capture", _PROCESS),
    ("sysmon", 25): _sysmon("process-tampered", "process", "change", "process_tampering", _PROCESS),
    ("sysmon", 26): _sysmon("file-deletion-detected", "file", "deletion", "file_delete_detected", _HASHED_FILE),
    ("sysmon", 27): _sysmon(
        "executable-blocked", "file", "denied", "file_block_executable", _HASHED_FILE, outcome="failure"
    ),
    ("sysmon", 29): _sysmon("executable-created", "file", "creation", "file_executable_detected", _HASHED_FILE),
    ("sysmon", 255): Kind("sysmon-error", ("host",), ("error",), "failure", "sysmon_error"),
    ("powershell", 4103): Kind("module-executed", ("process",), sigma="ps_module"),
    ("powershell", 4104): Kind("script-block-run", ("process",), sigma="ps_script", fields={"Path": "file.path"}),
    ("powershell-classic", 400): Kind("engine-started", ("process",), ("start",), sigma="ps_classic_start"),
    ("powershell-classic", 600): Kind("provider-started", ("process",), sigma="ps_classic_provider_start"),
    ("powershell-classic", 800): Kind("pipeline-executed", ("process",), sigma="ps_classic_script"),
    ("windefend", 1116): Kind("malware-detected", ("malware",), fields=_THREAT),
    ("windefend", 1117): Kind("malware-acted-on", ("malware",), fields=_THREAT),
    ("windefend", 5001): Kind("realtime-protection-disabled", ("configuration",), ("change",), "success"),
    ("windefend", 5007): Kind("configuration-changed", ("configuration",), ("change",), "success"),
    ("printservice-operational", 307): Kind(
        "print-job",
        ("file",),
        ("access",),
        "success",
        fields={
            "Param1": "print.job_id",
            "Param2": "print.document",
            "Param3": "user.name",
            "Param4": "source.domain",
            "Param5": "print.printer",
            "Param6": "print.port",
            "Param7": "print.size_bytes",
            "Param8": "print.pages",
        },
    ),
    ("system", 7045): Kind(
        "service-installed",
        ("configuration",),
        ("creation",),
        "success",
        fields={"ServiceName": "service.name", "ImagePath": "file.path", "AccountName": "user"},
    ),
}
"""(service, event ID) → kind. Other events keep their data and have no categories."""

REGISTRY_ACTIONS = {"CreateKey": "registry_add", "DeleteKey": "registry_delete", "DeleteValue": "registry_delete"}
"""Sysmon 12 ``EventType`` → Sigma category."""


def logsources() -> set[LogSource]:
    """Return the log source of every channel, and of every kind of event in it."""
    kinds = {LogSource("windows", kind.sigma, service) for (service, _), kind in KINDS.items()}
    registry = {LogSource("windows", category, "sysmon") for category in REGISTRY_ACTIONS.values()}
    return {LogSource("windows", "", service) for service in SERVICES.values()} | kinds | registry
