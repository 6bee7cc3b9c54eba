"""SNMP traps and informs of any device, as the transport ``snmp`` hands them on: one JSON object each.

Sources: RFC 3418 (coldStart … authenticationFailure), RFC 2863 (linkDown, linkUp), RFC 1628 (UPS-MIB), RFC 3584 (traps
of v1 under one name with those of v2); names of more in snmp_names.py. What has no name there is ``snmp-trap`` with its
OID as ``event.code`` and all its variables. A notification says no time of day: it is when it arrived. Severities are
those of syslog, ``event.severity`` 2 critical to 6 informational.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site
from ingest.parsers.fields import classify, number_of, put, text_of
from ingest.parsers.json_body import body
from ingest.parsers.json_objects import json_objects
from ingest.parsers.snmp_names import ALARM_OF_UPS, TRAPS, UNKNOWN, UPS_ALARMS, VARIABLES, VENDORS, Trap
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource, rfc3339

_STEP = "snmp_trap"
_LOGSOURCE = LogSource("snmp", service="trap")
_ENTERPRISES = "1.3.6.1.4.1."
_STATES = {1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "not-present", 7: "lower-layer-down"}
_FIELDS = {
    "sysName": "host.name",
    "ifIndex": "snmp.interface.index",
    "ifName": "snmp.interface.name",
    "ifDescr": "snmp.interface.name",
    "ifAlias": "snmp.interface.alias",
    "authAddr": "source.ip",
    "mtrapargsString": "message",
}
_NUMBERS = {
    "upsEstimatedMinutesRemaining": "snmp.ups.minutes_remaining",
    "upsSecondsOnBattery": "snmp.ups.seconds_on_battery",
}
_MAX_VARIABLES = 64


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a notification; raises ParseError when it names no trap."""
    _, raw = body(record, site, step=_STEP)
    code = text_of(raw.get("trap"))
    if not code:
        raise ParseError("no OID of a notification", step=_STEP)
    agent = address(text_of(raw.get("agent"))) or address(record.peer)
    doc: Document = {
        "@timestamp": rfc3339(record.received),
        "event.kind": "event",
        "event.module": "snmp",
        "event.dataset": "snmp.trap",
    }
    put(doc, "event.code", code)
    for name, value in _envelope(raw).items():
        put(doc, name, value)
    if uptime := number_of(raw.get("uptime")):
        doc["host.uptime"] = uptime // 100
    for name in ("host.ip", "observer.ip"):
        put(doc, name, agent)
    put(doc, "observer.vendor", _vendor(code, text_of(raw.get("enterprise"))))
    variables = _variables(raw.get("variables"), site)
    _name(doc, variables)
    _categorise(doc, TRAPS.get(code, UNKNOWN), variables)
    return [Parsed(doc, _LOGSOURCE)]


def _envelope(raw: Mapping[str, Any]) -> dict[str, object]:
    return {
        "snmp.version": raw.get("version"),
        "snmp.type": raw.get("type"),
        "snmp.enterprise": raw.get("enterprise"),
        "snmp.user": raw.get("user"),
        "snmp.engine": raw.get("engine"),
        "snmp.context": raw.get("context"),
    }


def _vendor(code: str, enterprise: str) -> str | None:
    """Return who numbered the trap or made the device."""
    numbers = (oid.removeprefix(_ENTERPRISES).partition(".")[0] for oid in (enterprise, code) if _ENTERPRISES in oid)
    return next((VENDORS[int(number)] for number in numbers if number.isdecimal() and int(number) in VENDORS), None)


def _variables(raw: object, site: Site) -> list[tuple[str, object]]:
    """Return names, or OIDs where they have none, and values."""
    items = raw[:_MAX_VARIABLES] if isinstance(raw, list) else []
    return [(_named(text_of(one.get("oid"))), _value(one, site)) for one in items if isinstance(one, dict)]


def _named(oid: str) -> str:
    """Return a variable's name by its OID without the index behind it."""
    found = oid
    while found and found not in VARIABLES:
        found = found.rpartition(".")[0]
    return VARIABLES.get(found, oid)


def _value(one: Mapping[str, Any], site: Site) -> object:
    """Return a value; octets that are no UTF-8 are read in the site's character set where they are text in it."""
    value = one.get("value")
    if one.get("type") != "hex" or not isinstance(value, str):
        return value
    try:
        text = bytes.fromhex(value).decode(site.charset)
    except (ValueError, LookupError):
        return value
    return text if text.isprintable() else value


def _name(doc: Document, variables: list[tuple[str, object]]) -> None:
    for name, value in variables:
        if name in ("ifAdminStatus", "ifOperStatus"):
            state = _STATES.get(number_of(value) or 0)
            put(doc, f"snmp.interface.{'admin' if name == 'ifAdminStatus' else 'oper'}_status", state)
        elif name in _NUMBERS and (number := number_of(value)) is not None:
            doc[_NUMBERS[name]] = number
        elif name in _FIELDS:
            put(doc, _FIELDS[name], text_of(value))
    put(doc, "observer.name", doc.get("host.name"))
    put(doc, "snmp.variables", [f"{name}={text_of(value)}" for name, value in variables])


def _categorise(doc: Document, trap: Trap, variables: list[tuple[str, object]]) -> None:
    classify(doc, trap.category, list(trap.type), f"snmp-{trap.name}", trap.outcome)
    alarm = next((text_of(value) for name, value in variables if name == "upsAlarmDescr"), "")
    severity = trap.severity
    if alarm.startswith(ALARM_OF_UPS):
        number = number_of(alarm.removeprefix(ALARM_OF_UPS)) or 0
        name, of_alarm = list(UPS_ALARMS.items())[number - 1] if 0 < number <= len(UPS_ALARMS) else ("other", severity)
        put(doc, "snmp.ups.alarm", name)
        severity = severity if trap.name == "ups-alarm-removed" else of_alarm
    doc["event.severity"] = severity
    if trap.name.startswith("ups-") and severity <= 4:
        doc["event.kind"] = "alert"


PARSER = Parser(
    "snmp_trap",
    json_objects,
    parse,
    {
        **dict.fromkeys(("message", "snmp.variables"), Action.TEXT),
        **dict.fromkeys(
            (
                "host.name",
                "observer.name",
                "snmp.version",
                "snmp.type",
                "snmp.enterprise",
                "snmp.user",
                "snmp.engine",
                "snmp.context",
                "snmp.interface.name",
                "snmp.interface.alias",
                "snmp.interface.index",
                "event.code",
            ),
            Action.MASK,
        ),
    },
    title="SNMP traps and informs",
    reads="notifications of v1, v2c and v3 by the transport snmp: switches, UPS, printers, sensors",
    logsources=(_LOGSOURCE,),
)
