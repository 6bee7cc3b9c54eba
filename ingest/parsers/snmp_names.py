"""Names of the notifications and variables that hospitals' devices send most, by their OID, and their makers.

Sources: SNMPv2-MIB (RFC 3418), IF-MIB (RFC 2863), UPS-MIB (RFC 1628), ENTITY-MIB (RFC 6933), BRIDGE-MIB (RFC 4188),
RMON-MIB (RFC 2819), BGP4-MIB (RFC 4273), OSPF-TRAP-MIB (RFC 4750), VRRP-MIB (RFC 2787), Printer-MIB (RFC 3805),
LLDP-MIB (IEEE 802.1AB), PowerNet-MIB of APC, and IANA's private enterprise numbers. Severities are those of syslog
(RFC 5424, 6.2.1) and our own judgement.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trap:
    """What a notification says: its name, severity and category; ``outcome`` and ``kind`` where it has one."""

    name: str
    severity: int
    category: str = "host"
    type: tuple[str, ...] = ("info",)
    outcome: str | None = None


_CRITICAL, _ERROR, _WARNING, _NOTICE, _INFO = 2, 3, 4, 5, 6
_UPS = "1.3.6.1.2.1.33"
_APC = "1.3.6.1.4.1.318.0"
_NETWORK = "network"

TRAPS = {
    "1.3.6.1.6.3.1.1.5.1": Trap("cold-start", _NOTICE, type=("start",)),
    "1.3.6.1.6.3.1.1.5.2": Trap("warm-start", _NOTICE, type=("start",)),
    "1.3.6.1.6.3.1.1.5.3": Trap("link-down", _WARNING, _NETWORK, ("connection", "end")),
    "1.3.6.1.6.3.1.1.5.4": Trap("link-up", _NOTICE, _NETWORK, ("connection", "start")),
    "1.3.6.1.6.3.1.1.5.5": Trap("authentication-failure", _WARNING, "authentication", ("info",), "failure"),
    "1.3.6.1.6.3.1.1.5.6": Trap("egp-neighbor-loss", _WARNING, _NETWORK),
    f"{_UPS}.2.1": Trap("ups-on-battery", _WARNING),
    f"{_UPS}.2.2": Trap("ups-test-completed", _INFO),
    f"{_UPS}.2.3": Trap("ups-alarm-added", _WARNING),
    f"{_UPS}.2.4": Trap("ups-alarm-removed", _NOTICE),
    f"{_APC}.1": Trap("ups-communication-lost", _ERROR),
    f"{_APC}.2": Trap("ups-overload", _ERROR),
    f"{_APC}.3": Trap("ups-diagnostics-failed", _ERROR),
    f"{_APC}.4": Trap("ups-discharged", _CRITICAL),
    f"{_APC}.5": Trap("ups-on-battery", _WARNING),
    f"{_APC}.7": Trap("ups-low-battery", _CRITICAL),
    f"{_APC}.8": Trap("ups-communication-established", _NOTICE),
    f"{_APC}.9": Trap("ups-power-restored", _NOTICE),
    f"{_APC}.12": Trap("ups-turned-off", _ERROR),
    "1.3.6.1.2.1.47.2.0.1": Trap("entity-config-change", _NOTICE, "configuration", ("change",)),
    "1.3.6.1.2.1.17.0.1": Trap("bridge-new-root", _WARNING, _NETWORK, ("change",)),
    "1.3.6.1.2.1.17.0.2": Trap("bridge-topology-change", _NOTICE, _NETWORK, ("change",)),
    "1.3.6.1.2.1.16.0.1": Trap("rising-alarm", _WARNING),
    "1.3.6.1.2.1.16.0.2": Trap("falling-alarm", _WARNING),
    "1.3.6.1.2.1.15.0.1": Trap("bgp-established", _NOTICE, _NETWORK, ("connection", "start")),
    "1.3.6.1.2.1.15.0.2": Trap("bgp-backward-transition", _WARNING, _NETWORK, ("connection", "end")),
    "1.3.6.1.2.1.14.16.2.2": Trap("ospf-neighbor-change", _WARNING, _NETWORK, ("change",)),
    "1.3.6.1.2.1.68.0.1": Trap("vrrp-new-master", _WARNING, _NETWORK, ("change",)),
    "1.3.6.1.2.1.43.18.2.0.1": Trap("printer-alert", _WARNING),
    "1.0.8802.1.1.2.0.0.1": Trap("lldp-neighbors-change", _NOTICE, _NETWORK, ("change",)),
}
"""Notification → what it says; the names become ``event.action`` behind ``snmp-``."""

UNKNOWN = Trap("trap", _NOTICE)

UPS_ALARMS = {
    "battery-bad": _ERROR,
    "on-battery": _WARNING,
    "low-battery": _CRITICAL,
    "depleted-battery": _CRITICAL,
    "temperature-bad": _ERROR,
    "input-bad": _WARNING,
    "output-bad": _ERROR,
    "output-overload": _ERROR,
    "on-bypass": _WARNING,
    "bypass-bad": _ERROR,
    "output-off-as-requested": _WARNING,
    "ups-off-as-requested": _WARNING,
    "charger-failed": _ERROR,
    "ups-output-off": _ERROR,
    "ups-system-off": _ERROR,
    "fan-failure": _ERROR,
    "fuse-failure": _ERROR,
    "general-fault": _ERROR,
    "diagnostic-test-failed": _ERROR,
    "communications-lost": _ERROR,
    "awaiting-power": _WARNING,
    "shutdown-pending": _ERROR,
    "shutdown-imminent": _CRITICAL,
    "test-in-progress": _INFO,
}
"""The well-known alarms of a UPS in the order of their numbers, 1.3.6.1.2.1.33.1.6.3.1 to .24, and their severities."""

ALARM_OF_UPS = f"{_UPS}.1.6.3."

VARIABLES = {
    "1.3.6.1.2.1.1.1": "sysDescr",
    "1.3.6.1.2.1.1.4": "sysContact",
    "1.3.6.1.2.1.1.5": "sysName",
    "1.3.6.1.2.1.1.6": "sysLocation",
    "1.3.6.1.2.1.2.2.1.1": "ifIndex",
    "1.3.6.1.2.1.2.2.1.2": "ifDescr",
    "1.3.6.1.2.1.2.2.1.3": "ifType",
    "1.3.6.1.2.1.2.2.1.7": "ifAdminStatus",
    "1.3.6.1.2.1.2.2.1.8": "ifOperStatus",
    "1.3.6.1.2.1.31.1.1.1.1": "ifName",
    "1.3.6.1.2.1.31.1.1.1.18": "ifAlias",
    f"{_UPS}.1.2.2": "upsSecondsOnBattery",
    f"{_UPS}.1.2.3": "upsEstimatedMinutesRemaining",
    f"{_UPS}.1.6.2.1.1": "upsAlarmId",
    f"{_UPS}.1.6.2.1.2": "upsAlarmDescr",
    f"{_UPS}.1.7.3": "upsTestResultsSummary",
    f"{_UPS}.1.9.7": "upsConfigLowBattTime",
    "1.3.6.1.4.1.9.2.1.5": "authAddr",
    "1.3.6.1.4.1.318.2.3.3": "mtrapargsString",
}
"""Variable, without the index of its instance, → its name."""

VENDORS = {
    9: "Cisco",
    11: "HP",
    232: "HPE",
    253: "Xerox",
    318: "APC",
    367: "Ricoh",
    476: "Vertiv",
    534: "Eaton",
    641: "Lexmark",
    674: "Dell",
    1347: "Kyocera",
    2011: "Huawei",
    2435: "Brother",
    2636: "Juniper",
    3902: "ZTE",
    4881: "Ruijie",
    6574: "Synology",
    6876: "VMware",
    8072: "Net-SNMP",
    8691: "Moxa",
    12356: "Fortinet",
    13742: "Raritan",
    24681: "QNAP",
    25461: "Palo Alto Networks",
    25506: "H3C",
}
"""Private enterprise number → maker."""
