"""Memory of a matcher's rules while events that all differ pass through."""

from __future__ import annotations

import os
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

from bench.figures import Figure
from bench.match import match
from bench.rules import sigmahq
from detections.sigma import Ruleset
from wardwatch.event import LogSource, encode

EVENTS = 10_000_000
_SOURCES = (
    LogSource("windows", "process_creation", "sysmon"),
    LogSource("windows", "registry_set", "sysmon"),
    LogSource("windows", "network_connection", "sysmon"),
)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def run(quick: bool) -> list[Figure]:
    """Measure the resident memory after EVENTS distinct events, a hundredth of them when quick."""
    count = EVENTS // 100 if quick else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        rules = Ruleset.load(sigmahq(Path(folder)))
    resident: dict[int, int] = {}
    for number in range(count):
        match(rules, [(_event(number), _SOURCES[number % len(_SOURCES)])])
        if (number + 1) % (count // 10) == 0:
            resident[number + 1] = _resident_bytes()
    last, half = resident[count], resident[count // 2]
    return [
        Figure(f"memory after {count:,} events", last / 2**20, "MB", "400 MB", last / (400 * 2**20), "≤ 1"),
        Figure("growth of the second half", (last - half) / 2**20, "MB", "the first half", last / half, "1.00: flat"),
    ]


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE


def _event(number: int) -> bytes:
    tool = rf"C:\Users\u{number}\AppData\Local\Temp\tool{number * 7919 % 1_000_003}.exe"
    return encode(
        {
            "event.id": f"{number:032x}",
            "@timestamp": "2026-03-01T02:11:09.000Z",
            "winlog.event_id": 1,
            "winlog.event_data.Image": tool,
            "winlog.event_data.CommandLine": rf'"{tool}" -enc {number:x} /c whoami & net user u{number} -p {number}',
            "winlog.event_data.ParentImage": r"C:\Windows\System32\cmd.exe",
            "winlog.event_data.TargetObject": rf"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\k{number}",
            "winlog.event_data.Details": f"value {number}",
            "winlog.event_data.DestinationIp": str(IPv4Address(0x0B000000 + number)),
            "winlog.event_data.User": rf"DOMAIN\u{number}",
        }
    )
