"""Packet captures made of our own bytes, and what is in them: the truth that an exporter's flows are compared with."""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

TCP, UDP, ICMP = 6, 17, 1
START_S = 1_772_302_269


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a connection: addresses, ports and protocol."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    protocol: int


@dataclass(slots=True)
class Total:
    """What went one way: octets of IP packets, packets, first and last moment in milliseconds since 1970."""

    octets: int = 0
    packets: int = 0
    first_ms: int = 0
    last_ms: int = 0


def capture(path: Path, connections: int, seed: int = 1) -> dict[Way, Total]:
    """Write a capture (pcap, Ethernet) of so many connections, IPv4 and IPv6; return its ways and their totals."""
    chosen = random.Random(seed)
    found: dict[Way, Total] = defaultdict(Total)
    packets: list[tuple[int, bytes]] = []
    for number in range(connections):
        there = _way(number, chosen)
        back = Way(there.destination, there.source, there.destination_port, there.source_port, there.protocol)
        begin = chosen.randrange(60_000)
        for place in range(chosen.randrange(1, 8)):
            way = back if place % 3 == 2 else there
            packet = _packet(way, bytes(chosen.randrange(1, 900)))
            at = START_S * 1000 + begin + place * 250
            packets.append((at, packet))
            total = found[way]
            total.octets += len(packet) - 14
            total.packets += 1
            total.first_ms = total.first_ms or at
            total.last_ms = at
    records = (
        struct.pack("<IIII", at // 1000, at % 1000 * 1000, len(packet), len(packet)) + packet
        for at, packet in sorted(packets)
    )
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1) + b"".join(records))
    return dict(found)


def _way(number: int, chosen: random.Random) -> Way:
    protocol = (TCP, UDP)[number % 2]
    port = chosen.choice((104, 443, 2575, 1521))
    if number % 5 == 4:
        return Way(f"2001:db8::{number + 1:x}", "2001:db8:1::9", 20_000 + number, port, protocol)
    return Way(f"10.3.{number // 250}.{number % 250 + 1}", "203.0.113.9", 20_000 + number, port, protocol)


def _packet(way: Way, payload: bytes) -> bytes:
    source, destination = ip_address(way.source), ip_address(way.destination)
    if way.protocol == TCP:
        segment = (
            struct.pack("!HHIIBBHHH", way.source_port, way.destination_port, 1, 1, 0x50, 0x18, 512, 0, 0) + payload
        )
    else:
        segment = struct.pack("!HHHH", way.source_port, way.destination_port, 8 + len(payload), 0) + payload
    if source.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(segment), way.protocol, 64) + source.packed + destination.packed
        return b"\x02\0\0\0\0\x09\x02\0\0\0\0\x01\x86\xdd" + head + segment
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, way.protocol, 0)
    return b"\x02\0\0\0\0\x09\x02\0\0\0\0\x01\x08\x00" + head + source.packed + destination.packed + segment
