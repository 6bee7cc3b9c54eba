"""The log source of a bare document, for ``wardwatch detect``: on the bus it travels in the record's headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardwatch.channels import SERVICES
from wardwatch.event import LOGSOURCE, Document, LogSource

if TYPE_CHECKING:  # worth half a second of a start that needs no pySigma
    from sigma.rule.logsource import SigmaLogSource

BROADER = dict.fromkeys(("registry_add", "registry_delete", "registry_rename", "registry_set"), "registry_event")
"""Sigma category → the category that takes it in (Sigma taxonomy 2.1: ``registry_event`` is Sysmon 12, 13 and 14)."""

FIELDS = ("event.dataset", "winlog.channel", "winlog.event_id", "winlog.event_data.EventType")
"""The fields that ``of_document`` reads."""

_DATASETS = {
    "hl7.v2": LogSource("hl7", "", "v2"),
    "dicom.audit": LogSource("dicom", "", "audit"),
    "huawei.usg": LogSource("huawei", "firewall", "usg"),
    "mysql.audit": LogSource("mysql", "database", "audit"),
    "linux.sshd": LogSource("linux", "", "sshd"),
    "linux.sudo": LogSource("linux", "", "sudo"),
    "linux.auth": LogSource("linux", "", "auth"),
    "linux.syslog": LogSource("linux"),
    "aliyun.actiontrail": LogSource("aliyun", "", "actiontrail"),
    "aliyun.oss_access": LogSource("aliyun", "", "oss"),
    "api_gateway.access": LogSource("api_gateway", "webserver", "gateway"),
    "aws.cloudtrail": LogSource("aws", "", "cloudtrail"),
    "aws.s3_access": LogSource("aws", "", "s3"),
    "bind.query": LogSource("bind", "dns", "query"),
    "cisco.asa": LogSource("cisco", "firewall", "asa"),
    "cisco.ise": LogSource("cisco", "authentication", "ise"),
    "dnsmasq.dhcp": LogSource("dnsmasq", "dhcp", "dnsmasq"),
    "dnsmasq.dns": LogSource("dnsmasq", "dns", "dnsmasq"),
    "freeradius.auth": LogSource("freeradius", "authentication", "radius"),
    "h3c.comware": LogSource("h3c", "firewall", "comware"),
    "microsoft.dhcp": LogSource("microsoft", "dhcp", "dhcp"),
    "modsecurity.audit": LogSource("modsecurity", "webserver", "audit"),
    "nginx.access": LogSource("nginx", "webserver", "nginx"),
    "nginx.error": LogSource("nginx", "webserver", "nginx"),
    "safeline.event": LogSource("safeline", "webserver", "waf"),
    "sangfor.atrust": LogSource("sangfor", "", "atrust"),
    "tencent.cloudaudit": LogSource("tencent", "", "cloudaudit"),
    "tencent.cos_access": LogSource("tencent", "", "cos"),
    "tomcat.access": LogSource("apache", "webserver", "tomcat"),
    "topsec.firewall": LogSource("topsec", "firewall", "tos"),
    "vmware.vcenter": LogSource("vmware", "", "vcenter"),
    "wardwatch.reveal": LogSource("wardwatch", "", "reveal"),
    "zeek.other": LogSource("zeek"),
    "zeek.dns": LogSource("zeek", "dns", "dns"),
    "zeek.http": LogSource("zeek", "webserver", "http"),
    **{
        f"zeek.{log}": LogSource("zeek", "", log)
        for log in ("conn", "dce_rpc", "dhcp", "kerberos", "mysql", "notice", "rdp", "smb_files", "ssh", "ssl")
    },
    **{
        f"sysmon.{category}": LogSource("linux", category, "sysmon")
        for category in (
            "process_creation",
            "network_connection",
            "sysmon_status",
            "process_termination",
            "raw_access_thread",
            "file_event",
            "file_delete",
            "sysmon_error",
        )
    },
    "sysmon.other": LogSource("linux", "", "sysmon"),
    **{
        f"jumpserver.{log}": LogSource("jumpserver", "", log)
        for log in ("ftp", "host_session", "login", "operation", "password_change", "session_command")
    },
}
"""Datasets whose events all have one log source; of others, such as CEF, the record's headers alone tell it."""
_REGISTRY = {"CreateKey": "registry_add", "DeleteKey": "registry_delete", "DeleteValue": "registry_delete"}
_CATEGORIES = {
    ("security", 4688): "process_creation",
    ("security", 4689): "process_termination",
    ("sysmon", 1): "process_creation",
    ("sysmon", 2): "file_change",
    ("sysmon", 3): "network_connection",
    ("sysmon", 4): "sysmon_status",
    ("sysmon", 5): "process_termination",
    ("sysmon", 6): "driver_load",
    ("sysmon", 7): "image_load",
    ("sysmon", 8): "create_remote_thread",
    ("sysmon", 9): "raw_access_thread",
    ("sysmon", 10): "process_access",
    ("sysmon", 11): "file_event",
    ("sysmon", 12): "registry_event",
    ("sysmon", 13): "registry_set",
    ("sysmon", 14): "registry_rename",
    ("sysmon", 15): "create_stream_hash",
    ("sysmon", 16): "sysmon_status",
    ("sysmon", 17): "pipe_created",
    ("sysmon", 18): "pipe_created",
    ("sysmon", 19): "wmi_event",
    ("sysmon", 20): "wmi_event",
    ("sysmon", 21): "wmi_event",
    ("sysmon", 22): "dns_query",
    ("sysmon", 23): "file_delete",
    ("sysmon", 24): "clipboard_capture",
    ("sysmon", 25): "process_tampering",
    ("sysmon", 26): "file_delete_detected",
    ("sysmon", 27): "file_block_executable",
    ("sysmon", 29): "file_executable_detected",
    ("sysmon", 255): "sysmon_error",
    ("powershell", 4103): "ps_module",
    ("powershell", 4104): "ps_script",
    ("powershell-classic", 400): "ps_classic_start",
    ("powershell-classic", 600): "ps_classic_provider_start",
    ("powershell-classic", 800): "ps_classic_script",
}


def of_rule(source: SigmaLogSource) -> LogSource:
    """Return the log source that a rule names, in lower case; "" is any."""
    return LogSource(*((name or "").lower() for name in (source.product, source.category, source.service)))


def of_document(doc: Document) -> LogSource:
    """Return the log source that ``event.dataset`` or the Windows channel tells; an empty one where neither does."""
    if "winlog.channel" not in doc:
        return _DATASETS.get(str(doc.get("event.dataset", "")), LogSource())
    service = SERVICES.get(str(doc["winlog.channel"]).lower(), "")
    return LogSource("windows", _category(service, doc), service)


def condition(source: LogSource) -> dict[str, Any]:
    """Return what archived events of a rule's log source hold: values by field, a list is one of them."""
    narrower = [name for name, broader in BROADER.items() if broader == source.category]
    kept = source.archived() | {LOGSOURCE[1]: [source.category, *narrower] if narrower else source.category}
    return {name: value for name, value in kept.items() if value}


def holds(wanted: LogSource, own: LogSource) -> bool:
    """Tell whether each part that a rule names is the event's own; a category is also the one that takes it in."""
    return (
        wanted.product in ("", own.product)
        and wanted.category in ("", own.category, BROADER.get(own.category))
        and wanted.service in ("", own.service)
    )


def _category(service: str, doc: Document) -> str:
    event_id = doc.get("winlog.event_id")
    if not isinstance(event_id, int):
        return ""
    category = _CATEGORIES.get((service, event_id), "")
    if category == "registry_event":
        return _REGISTRY.get(str(doc.get("winlog.event_data.EventType")), category)
    return category
