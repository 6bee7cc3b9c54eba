"""Flows of NetFlow v5, v9 and IPFIX, as the transport ``flow`` hands them on: one JSON object each.

Names are those of IANA's registry "IP Flow Information Export (IPFIX) Entities". Sources: RFC 7011, RFC 7012, RFC 3954,
RFC 5103 (biflows: the other way is the destination's bytes and packets); Community ID v1 (Corelight).
A sampled flow has ``netflow.sampling_interval``; its bytes and packets are not multiplied. A flow with no time of its
own is of when it was exported.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha1
from ipaddress import ip_address
from typing import Any

from ingest.parsers import Parsed, Parser, Record, Site, firewall_events
from ingest.parsers.clock import epoch
from ingest.parsers.fields import classify, fill, number_of, put
from ingest.parsers.json_body import body
from ingest.parsers.json_objects import json_objects
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "netflow"
_LOGSOURCE = LogSource("netflow", service="flow")
_NAMES = {
    "sourceIPv4Address": "source.ip",
    "sourceIPv6Address": "source.ip",
    "destinationIPv4Address": "destination.ip",
    "destinationIPv6Address": "destination.ip",
    "sourceTransportPort": "source.port",
    "destinationTransportPort": "destination.port",
    "sourceMacAddress": "source.mac",
    "destinationMacAddress": "destination.mac",
    "postDestinationMacAddress": "destination.mac",
    "postNATSourceIPv4Address": "source.nat.ip",
    "postNATDestinationIPv4Address": "destination.nat.ip",
    "postNAPTSourceTransportPort": "source.nat.port",
    "postNAPTDestinationTransportPort": "destination.nat.port",
    "octetDeltaCount": "source.bytes",
    "octetTotalCount": "source.bytes",
    "initiatorOctets": "source.bytes",
    "packetDeltaCount": "source.packets",
    "packetTotalCount": "source.packets",
    "initiatorPackets": "source.packets",
    "reverseOctetDeltaCount": "destination.bytes",
    "reverseOctetTotalCount": "destination.bytes",
    "responderOctets": "destination.bytes",
    "reversePacketDeltaCount": "destination.packets",
    "reversePacketTotalCount": "destination.packets",
    "responderPackets": "destination.packets",
    "protocolIdentifier": "network.transport",
    "vlanId": "network.vlan.id",
    "dot1qVlanId": "network.vlan.id",
    "applicationName": "network.application",
    "ingressInterface": "observer.ingress.interface.id",
    "egressInterface": "observer.egress.interface.id",
    "interfaceName": "observer.ingress.interface.name",
    "exporter": "observer.ip",
    "sequence": "event.sequence",
    "version": "netflow.version",
    "domain": "netflow.domain",
    "flowId": "netflow.flow_id",
    "ipClassOfService": "netflow.class_of_service",
    "bgpSourceAsNumber": "netflow.source_as",
    "bgpDestinationAsNumber": "netflow.destination_as",
}
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_END_REASONS = ("", "idle timeout", "active timeout", "end of flow", "forced end", "lack of resources")  # RFC 5102
_SIDES = {0: "ingress", 1: "egress"}
_WITH_PORTS = (6, 17, 132)


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a flow; raises ParseError where it has no time or neither address."""
    _, raw = body(record, site, step=_STEP)
    end = raw.get("end") or raw.get("exported")
    doc: Document = {
        "@timestamp": epoch(end, step=_STEP),
        "event.kind": "event",
        "event.module": "netflow",
        "event.dataset": "netflow.flow",
    }
    fill(doc, raw, _NAMES)
    if "source.ip" not in doc and "destination.ip" not in doc and "source.mac" not in doc:
        raise ParseError("a flow without addresses", step=_STEP)
    if interval := number_of(raw.get("samplingInterval")):
        doc["netflow.sampling_interval"] = interval
    _protocol(doc, raw)
    _totals(doc)
    _times(doc, raw)
    classify(doc, "network", ["connection", "info"], "flow-seen")
    firewall_events.towards(doc)
    return [Parsed(doc, _LOGSOURCE)]


def _protocol(doc: Document, raw: Mapping[str, Any]) -> None:
    number = number_of(raw.get("protocolIdentifier"))
    put(doc, "network.iana_number", number)
    if ":" in str(doc.get("source.ip") or doc.get("destination.ip")):
        doc["network.type"] = "ipv6"
    elif "source.ip" in doc or "destination.ip" in doc:
        doc["network.type"] = "ipv4"
    flags = number_of(raw.get("tcpControlBits"))
    if number == 6 and flags is not None:
        put(doc, "netflow.tcp_flags", [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1])
    put(doc, "netflow.flow_direction", _SIDES.get(raw.get("flowDirection", -1)))
    reason = number_of(raw.get("flowEndReason")) or 0
    put(doc, "event.reason", _END_REASONS[reason] if 0 < reason < len(_END_REASONS) else None)
    if number in _WITH_PORTS and {"source.ip", "destination.ip", "source.port", "destination.port"} <= doc.keys():
        ends = ((doc["source.ip"], doc["source.port"]), (doc["destination.ip"], doc["destination.port"]))
        if max(doc["source.port"], doc["destination.port"]) < 2**16:
            doc["network.community_id"] = community_id(*ends, number)


def community_id(source: tuple[str, int], destination: tuple[str, int], protocol: int) -> str:
    """Return the Community ID v1, seed 0, of a flow between ports; it is the same for both ways."""
    ends = sorted((ip_address(host).packed, port) for host, port in (source, destination))
    (lower, lower_port), (upper, upper_port) = ends
    data = b"\0\0" + lower + upper + struct.pack("!BBHH", protocol, 0, lower_port, upper_port)
    return f"1:{b64encode(sha1(data, usedforsecurity=False).digest()).decode()}"


def _totals(doc: Document) -> None:
    for what in ("bytes", "packets"):
        ways = [doc[f"{end}.{what}"] for end in ("source", "destination") if f"{end}.{what}" in doc]
        if ways:
            put(doc, f"network.{what}", sum(ways))


def _times(doc: Document, raw: Mapping[str, Any]) -> None:
    begin, end = number_of(raw.get("start")), number_of(raw.get("end"))
    if begin is not None:
        doc["event.start"] = epoch(begin, step=_STEP)
    if end is not None:
        doc["event.end"] = epoch(end, step=_STEP)
    if begin is not None and end is not None and begin <= end:
        put(doc, "event.duration", (end - begin) * 1_000_000)


PARSER = Parser(
    "netflow",
    json_objects,
    parse,
    {
        "network.application": Action.MASK,
        "observer.ingress.interface.name": Action.MASK,
    },
    title="NetFlow and IPFIX",
    reads="flows of NetFlow v5, v9 and IPFIX by the transport flow",
    logsources=(_LOGSOURCE,),
)
