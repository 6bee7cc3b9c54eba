"""NetFlow v5 (Cisco), v9 (RFC 3954) and IPFIX (RFC 7011) as a collector reads them: datagrams in, flows out.

Own code: of the library ``netflow`` 0.12.2 one datagram with a set or a field of length 0 never returns, its templates
are neither bounded nor apart by exporter, and it knows no fields of variable length (decision 0019). Here an
exporter's memory is bounded and expires, and data that comes before its template waits for it a while.

A flow is an object: ``version``, ``exporter``, ``domain``, ``sequence`` of its datagram, ``record``, its place in it,
``exported``, ``start`` and ``end`` in milliseconds since 1970, and the information elements by their names in IANA's
registry; those of the other way of a biflow begin with ``reverse`` (RFC 5103). Elements that nobody reads are skipped,
records of options templates counted; of them only the start of the exporter's clock is read.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from wardwatch.errors import ParseError

DOMAINS = 1024
"""Exporters and observation domains that are remembered; those that were silent longest are forgotten."""
TEMPLATES = 256
FIELDS = 256
TEMPLATE_S = 7200.0
"""Seconds after which a template that nobody repeats is forgotten (RFC 7011, 8.4): four times the usual half hour."""
HELD_S = 300.0
HELD_BYTES = 16 * 2**20
_HELD_SIZE = 512
_RESTART = 1_000_000
_LATE = 1_000
_VARIABLE = 0xFFFF
_REVERSE = 29305
_UPTIME_WRAP = 2**32
_NTP_EPOCH_S = 2_208_988_800
_LAST_MS = 253_402_300_799_000  # of the year 9999

Flow = dict[str, Any]
_Convert = Callable[[bytes], Any]


class FlowError(ParseError):
    """A datagram that is no flow export."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, step="flow")


def _number(data: bytes) -> int | None:
    return int.from_bytes(data, "big") if len(data) <= 8 else None


def _ntp_ms(data: bytes) -> int | None:
    """Return milliseconds since 1970 of an NTP timestamp (RFC 7011, 6.1.9)."""
    return round((int.from_bytes(data, "big") / 2**32 - _NTP_EPOCH_S) * 1000) if len(data) == 8 else None


def _ip4(data: bytes) -> str | None:
    return str(IPv4Address(data)) if len(data) == 4 else None


def _ip6(data: bytes) -> str | None:
    return str(IPv6Address(data)) if len(data) == 16 else None


def _mac(data: bytes) -> str:
    return data.hex("-")


def _words(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")


_ELEMENTS: dict[int, tuple[str, _Convert]] = {
    **{
        number: (name, _number)
        for number, name in {
            1: "octetDeltaCount",
            2: "packetDeltaCount",
            4: "protocolIdentifier",
            5: "ipClassOfService",
            6: "tcpControlBits",
            7: "sourceTransportPort",
            10: "ingressInterface",
            11: "destinationTransportPort",
            14: "egressInterface",
            16: "bgpSourceAsNumber",
            17: "bgpDestinationAsNumber",
            21: "flowEndSysUpTime",
            22: "flowStartSysUpTime",
            32: "icmpTypeCodeIPv4",
            34: "samplingInterval",
            58: "vlanId",
            61: "flowDirection",
            85: "octetTotalCount",
            86: "packetTotalCount",
            136: "flowEndReason",
            139: "icmpTypeCodeIPv6",
            148: "flowId",
            150: "flowStartSeconds",
            151: "flowEndSeconds",
            152: "flowStartMilliseconds",
            153: "flowEndMilliseconds",
            158: "flowStartDeltaMicroseconds",
            159: "flowEndDeltaMicroseconds",
            160: "systemInitTimeMilliseconds",
            161: "flowDurationMilliseconds",
            227: "postNAPTSourceTransportPort",
            228: "postNAPTDestinationTransportPort",
            230: "natEvent",
            231: "initiatorOctets",
            232: "responderOctets",
            233: "firewallEvent",
            239: "biflowDirection",
            243: "dot1qVlanId",
            298: "initiatorPackets",
            299: "responderPackets",
            323: "observationTimeMilliseconds",
        }.items()
    },
    8: ("sourceIPv4Address", _ip4),
    12: ("destinationIPv4Address", _ip4),
    27: ("sourceIPv6Address", _ip6),
    28: ("destinationIPv6Address", _ip6),
    56: ("sourceMacAddress", _mac),
    57: ("postDestinationMacAddress", _mac),
    80: ("destinationMacAddress", _mac),
    82: ("interfaceName", _words),
    96: ("applicationName", _words),
    154: ("flowStartMicroseconds", _ntp_ms),
    155: ("flowEndMicroseconds", _ntp_ms),
    156: ("flowStartNanoseconds", _ntp_ms),
    157: ("flowEndNanoseconds", _ntp_ms),
    225: ("postNATSourceIPv4Address", _ip4),
    226: ("postNATDestinationIPv4Address", _ip4),
}
"""Information elements that become fields (IANA, "IP Flow Information Export (IPFIX) Entities")."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a template; ``name`` "" is skipped, ``length`` 0xFFFF varies."""

    name: str
    length: int
    convert: _Convert


class _Template:
    """How the records of one set are cut; ``fields`` None are options, which are counted only."""

    def __init__(self, fields: Sequence[_Field], *, options: bool, seen: float) -> None:
        self.options = options
        self.seen = seen
        self.fields = fields
        self.is_fixed = all(one.length != _VARIABLE for one in fields)
        self.least = sum(1 if one.length == _VARIABLE else one.length for one in fields)
        if not self.least:
            raise FlowError("a template of records without octets")
        whole = {1: "B", 2: "H", 4: "I", 8: "Q"}
        named = [one for one in fields if one.name]
        numbers = [one.convert is _number and one.length in whole for one in named]
        self._names = tuple(one.name for one in named)
        self._converted = tuple((one.name, one.convert) for one, done in zip(named, numbers, strict=True) if not done)
        if self.is_fixed:
            self._struct = struct.Struct(
                "!"
                + "".join(
                    f"{one.length}x"
                    if not one.name
                    else whole[one.length]
                    if one.convert is _number and one.length in whole
                    else f"{one.length}s"
                    for one in fields
                )
            )

    def records(self, data: bytes) -> Iterator[Flow]:
        """Yield the records of a data set; the padding at its end is shorter than one (RFC 7011, 3.3.1)."""
        if not self.is_fixed:
            yield from self._varying(data)
            return
        for values in self._struct.iter_unpack(data[: len(data) // self.least * self.least]):
            flow = dict(zip(self._names, values, strict=True))
            for name, convert in self._converted:
                flow[name] = convert(flow[name])
            yield flow

    def _varying(self, data: bytes) -> Iterator[Flow]:
        at = 0
        while len(data) - at >= self.least:
            flow: Flow = {}
            for one in self.fields:
                length = one.length
                if length == _VARIABLE:
                    length, at = _varying_length(data, at)
                value = data[at : at + length]
                at += length
                if at > len(data):
                    raise FlowError("a record is longer than its set")
                if one.name:
                    flow[one.name] = one.convert(value)
            yield flow


def _varying_length(data: bytes, at: int) -> tuple[int, int]:
    """Return the length of a field and where it begins (RFC 7011, 7)."""
    head = data[at : at + 3]
    if head[:1] == b"\xff" and len(head) == 3:
        return int.from_bytes(head[1:], "big"), at + 3
    if not head or head[0] == 0xFF:
        raise FlowError("a record ends too early")
    return head[0], at + 1


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of one datagram; ``uptime`` is milliseconds of v5 and v9, else None; ``raw`` its octets."""

    version: int
    exporter: str
    domain: int
    sequence: int
    exported_ms: int
    uptime: int | None
    raw: bytes

    @property
    def key(self) -> tuple[str, int, int]:
        """What templates and sequences belong to."""
        return self.exporter, self.version, self.domain


@dataclass(slots=True)
class _Domain:
    """What is remembered of one exporter and observation domain."""

    templates: OrderedDict[int, _Template] = field(default_factory=OrderedDict)
    expected: int | None = None
    sequence: int = 0
    begun_ms: int | None = None  # systemInitTimeMilliseconds, where its options say it


@dataclass(frozen=True, slots=True)
class Held:
    """A data set without a template, its header before it, since when."""

    template: int
    data: bytes
    since: float
    header: _Header

    @property
    def size(self) -> int:
        """Octets of memory, about."""
        return len(self.data) + _HELD_SIZE

    @property
    def exporter(self) -> str:
        """Who sent it."""
        return self.header.exporter

    @property
    def message(self) -> bytes:
        """The set behind the header of its datagram."""
        return self.header.raw + struct.pack("!HH", self.template, len(self.data) + 4) + self.data


_Waiting = tuple[tuple[str, int, int], int]
"""Domain and template of held data."""


class Decoder:
    """Reads the datagrams of many exporters. ``now`` is seconds of a clock that only runs forward. For one thread.

    ``counts``: ``flows``, ``templates`` and ``options`` read; ``lost_flows`` (v5, IPFIX) and ``lost_datagrams`` (v9) by
    gaps of the sequence; ``late`` and ``restarts`` of it; ``expired`` sets whose template never came. ``held_bytes`` is
    what waits.
    """

    def __init__(self) -> None:
        names = ("flows", "templates", "options", "lost_flows", "lost_datagrams", "late", "restarts", "expired")
        self.counts = Counter(dict.fromkeys(names, 0))
        self._domains: OrderedDict[tuple[str, int, int], _Domain] = OrderedDict()
        self._held: OrderedDict[_Waiting, list[Held]] = OrderedDict()
        self._unreadable: list[Held] = []
        self.held_bytes = 0

    def read(self, data: bytes, exporter: str, now: float) -> list[Flow]:
        """Return the flows of a datagram, and those that waited for a template in it; raises FlowError.

        Nothing of a datagram that is refused counts, but its templates do.
        """
        if data[:2] == b"\x00\x05":
            return self._of_v5(data, exporter)
        header, sets = _cut(data, exporter)
        domain = self._domain(header.key)
        flows: list[Flow] = []
        records, unknown = 0, False
        for number, content in sets:
            if number in (0, 2):
                flows += self._learn(header, domain, content, now, options=False)
            elif number in (1, 3):
                flows += self._learn(header, domain, content, now, options=True)
            elif number >= 256:
                template = self._template(domain, number, now)
                if template is None:
                    unknown = True
                    self._hold(Held(number, content, now, header))
                else:
                    found = self._decoded(domain, template, content, header, records)
                    records += found[0]
                    flows += found[1]
        self._follow(header, domain, None if unknown else records)
        self.counts["flows"] += len(flows)
        return flows

    def expire(self, now: float) -> list[Held]:
        """Return, and forget, what waited for its template too long, found no room, or did not fit the template."""
        gone, self._unreadable = self._unreadable, []
        for key, sets in list(self._held.items()):
            while sets and (now - sets[0].since > HELD_S or self.held_bytes > HELD_BYTES):
                gone.append(sets.pop(0))
                self.held_bytes -= gone[-1].size
            if not sets:
                del self._held[key]
        self.counts["expired"] += len(gone)
        return gone

    def _domain(self, key: tuple[str, int, int]) -> _Domain:
        domain = self._domains.setdefault(key, _Domain())
        self._domains.move_to_end(key)
        if len(self._domains) > DOMAINS:
            self._domains.popitem(last=False)
        return domain

    def _template(self, domain: _Domain, number: int, now: float) -> _Template | None:
        template = domain.templates.get(number)
        if template is not None and now - template.seen > TEMPLATE_S:
            del domain.templates[number]
            return None
        return template

    def _learn(self, header: _Header, domain: _Domain, content: bytes, now: float, *, options: bool) -> list[Flow]:
        """Remember the templates of a set and return the flows that waited for them."""
        flows: list[Flow] = []
        for number, fields in _templates(content, header.version, options=options):
            if not fields:
                withdrawn = [number] if number >= 256 else list(domain.templates)  # RFC 7011, 8.1
                for each in withdrawn:
                    domain.templates.pop(each, None)
                continue
            template = _Template(fields, options=options, seen=now)
            domain.templates[number] = template
            domain.templates.move_to_end(number)
            if len(domain.templates) > TEMPLATES:
                domain.templates.popitem(last=False)
            self.counts["templates"] += 1
            flows += self._released(domain, (header.key, number), template)
        return flows

    def _released(self, domain: _Domain, key: _Waiting, template: _Template) -> list[Flow]:
        flows: list[Flow] = []
        for held in self._held.pop(key, []):
            self.held_bytes -= held.size
            try:
                flows += self._decoded(domain, template, held.data, held.header, 0)[1]
            except FlowError:
                self._unreadable.append(held)
        return flows

    def _hold(self, held: Held) -> None:
        self._held.setdefault((held.header.key, held.template), []).append(held)
        self.held_bytes += held.size

    def _decoded(
        self, domain: _Domain, template: _Template, content: bytes, header: _Header, first: int
    ) -> tuple[int, list[Flow]]:
        """Return how many records a data set has and those that are flows."""
        records = list(template.records(content))
        if template.options:
            self.counts["options"] += len(records)
            for option in records:
                domain.begun_ms = option.get("systemInitTimeMilliseconds", domain.begun_ms)
            return len(records), []
        for number, flow in enumerate(records, first):
            _finish(flow, header, number, domain.begun_ms)
        return len(records), records

    def _of_v5(self, data: bytes, exporter: str) -> list[Flow]:
        """Return the flows of v5 (Cisco, NetFlow export datagram formats, version 5)."""
        if len(data) < _V5_HEADER.size:
            raise FlowError("a header ends too early")
        _, count, uptime, seconds, nanoseconds, sequence, engine, sampling = _V5_HEADER.unpack_from(data)
        if len(data) != _V5_HEADER.size + count * _V5_TEMPLATE.least:
            raise FlowError("not as many flows as the header says")
        exported = seconds * 1000 + nanoseconds // 1_000_000
        header = _Header(5, exporter, engine, sequence, exported, uptime, data[: _V5_HEADER.size])
        domain = self._domain(header.key)
        self._follow(header, domain, count)
        _, flows = self._decoded(domain, _V5_TEMPLATE, data[_V5_HEADER.size :], header, 0)
        if sampling & 0x3FFF:
            for flow in flows:
                flow["samplingInterval"] = sampling & 0x3FFF
        self.counts["flows"] += len(flows)
        return flows

    def _follow(self, header: _Header, domain: _Domain, records: int | None) -> None:
        """Count what the sequence says was lost; ``records`` None: how many came is not known.

        It counts what was sent before (RFC 7011, 3.1), but softflowd's IPFIX what was sent with this datagram.
        """
        step = 1 if header.version == 9 else records
        gap = 0 if domain.expected is None else (header.sequence - domain.expected) % 2**32
        if records is not None and header.sequence == (domain.sequence + records) % 2**32:
            gap = 0
        if 0 < gap < _RESTART:
            self.counts["lost_datagrams" if header.version == 9 else "lost_flows"] += gap
        elif gap >= 2**32 - _LATE:
            self.counts["late"] += 1
            return
        elif gap:
            self.counts["restarts"] += 1
        domain.sequence = header.sequence
        domain.expected = None if step is None else (header.sequence + step) % 2**32


def _cut(data: bytes, exporter: str) -> tuple[_Header, list[tuple[int, bytes]]]:
    """Return header and sets of v9 or IPFIX, whole and well-formed; raises FlowError."""
    version = int.from_bytes(data[:2], "big")
    if version not in _HEADERS:
        raise FlowError("not NetFlow v5, v9 or IPFIX")
    form = _HEADERS[version]
    if len(data) < form.size:
        raise FlowError("a header ends too early")
    if version == 9:
        _, _, uptime, seconds, sequence, domain = form.unpack_from(data)
    else:
        _, length, seconds, sequence, domain = form.unpack_from(data)
        uptime = None
        if length != len(data):
            raise FlowError("not as long as the header says")
    header = _Header(version, exporter, domain, sequence, seconds * 1000, uptime, data[: form.size])
    sets: list[tuple[int, bytes]] = []
    at = form.size
    while at < len(data):
        number, size = struct.unpack_from("!HH", data, at) if len(data) - at >= 4 else (0, 0)
        if size < 4 or at + size > len(data):
            raise FlowError("a set of a wrong length")
        sets.append((number, data[at + 4 : at + size]))
        at += size
    return header, sets


def _templates(content: bytes, version: int, *, options: bool) -> Iterator[tuple[int, list[_Field]]]:
    """Yield number and fields of each template of a set, no fields for one that is withdrawn; raises FlowError."""
    at = 0
    while len(content) - at >= 4:
        number, count = struct.unpack_from("!HH", content, at)
        at += 4
        if not number and not count:
            return  # padding
        if options and not (version == 10 and count == 0):
            if len(content) - at < 2:
                raise FlowError("a template ends too early")
            (second,) = struct.unpack_from("!H", content, at)
            at += 2
            count = (count + second) // 4 if version == 9 else count  # octets of scopes and options (RFC 3954, 6.1)
        if count > FIELDS:
            raise FlowError(f"a template of more than {FIELDS} fields")
        fields: list[_Field] = []
        for _ in range(count):
            one, at = _field(content, at, version)
            fields.append(one)
        if fields and number < 256:
            raise FlowError("a template with the number of another set")
        if fields or version == 10:
            yield number, fields


def _field(content: bytes, at: int, version: int) -> tuple[_Field, int]:
    if len(content) - at < 4:
        raise FlowError("a template ends too early")
    element, length = struct.unpack_from("!HH", content, at)
    at += 4
    enterprise = 0
    if version == 10 and element & 0x8000:
        if len(content) - at < 4:
            raise FlowError("a template ends too early")
        (enterprise,) = struct.unpack_from("!I", content, at)
        element &= 0x7FFF
        at += 4
    name, convert = _ELEMENTS.get(element, ("", _number)) if enterprise in (0, _REVERSE) else ("", _number)
    if name and enterprise:
        name = f"reverse{name[0].upper()}{name[1:]}"
    if version == 9 and length == _VARIABLE:
        raise FlowError("a field of v9 without a length")
    if convert is _number and length != _VARIABLE and length > 8:
        name = ""
    return _Field(name if length else "", length, convert), at


def _finish(flow: Flow, header: _Header, number: int, begun_ms: int | None) -> None:
    begun_ms = flow.pop("systemInitTimeMilliseconds", begun_ms)
    flow["version"] = header.version
    flow["exporter"] = header.exporter
    flow["domain"] = header.domain
    flow["sequence"] = header.sequence
    flow["record"] = number
    flow["exported"] = header.exported_ms
    start, end = _time(flow, "flowStart", header, begun_ms), _time(flow, "flowEnd", header, begun_ms)
    if end is None and start is not None and (duration := flow.get("flowDurationMilliseconds")) is not None:
        end = start + duration
    flow |= {name: at for name, at in (("start", start), ("end", end)) if at is not None and 0 <= at <= _LAST_MS}


def _time(flow: Flow, which: str, header: _Header, begun_ms: int | None) -> int | None:
    """Return a time of a flow in milliseconds since 1970, by whichever element it is said."""
    for unit in ("Milliseconds", "Microseconds", "Nanoseconds"):
        if (found := flow.pop(which + unit, None)) is not None:
            return int(found)
    if (seconds := flow.pop(which + "Seconds", None)) is not None:
        return int(seconds) * 1000
    if (before := flow.pop(which + "DeltaMicroseconds", None)) is not None:
        return header.exported_ms - int(before) // 1000
    if (uptime := flow.pop(which + "SysUpTime", None)) is None:
        return None
    now = header.uptime if begun_ms is None else header.exported_ms - begun_ms
    if now is None:
        return None
    age = (now - int(uptime)) % _UPTIME_WRAP  # 32 bits of milliseconds are 49.7 days
    return header.exported_ms - (age if age < _UPTIME_WRAP // 2 else age - _UPTIME_WRAP)


_HEADERS = {9: struct.Struct("!HHIIII"), 10: struct.Struct("!HHIII")}
_V5_HEADER = struct.Struct("!HHIIIIHH")
_V5_TEMPLATE = _Template(
    [
        _Field(_ELEMENTS[element][0], length, _ELEMENTS[element][1]) if element else _Field("", length, _number)
        for element, length in (
            *((8, 4), (12, 4), (0, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (0, 1)),
            *((6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (0, 2), (0, 2)),
        )
    ],
    options=False,
    seen=0.0,
)
