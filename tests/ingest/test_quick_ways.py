"""Quick ways beside the plain ones that they stand for: the same answer for every text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import IPv6Address, ip_address, ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import hidden, identifiers
from ingest.address import address
from ingest.parsers.clock import epoch, moment
from ingest.parsers.fields import number_of
from ingest.parsers.networks import direction
from wardwatch.errors import ParseError
from wardwatch.event import rfc3339

ZONES = (ZoneInfo("Asia/Shanghai"), ZoneInfo("America/St_Johns"), UTC, timezone(timedelta(hours=5, seconds=7)))
numbers = st.integers(0, 300).map(str) | st.sampled_from(["00", "01", "", "１", "1 ", "+1", "256", "0x1"])
addresses = st.one_of(
    st.ip_addresses().map(str),
    st.lists(numbers, min_size=3, max_size=5).map(".".join),
    st.ip_addresses(v=4).map("::ffff:{}".format),
    st.ip_addresses(v=6).map("{}%eth0".format),
    st.text(max_size=12),
    st.just("10.3.1.5\0"),
)


def plain_address(text: str) -> str:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str((isinstance(found, IPv6Address) and found.ipv4_mapped) or found)


@given(addresses)
def test_an_address_is_what_the_standard_library_says(text: str) -> None:
    assert address(text) == plain_address(text)


INSIDE = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 fc00::/7 fe80::/10 ::1/128"


@given(addresses, addresses)
def test_traffic_goes_as_the_networks_of_its_ends_say(source: str, destination: str) -> None:
    def is_inside(text: str) -> bool:
        found = ip_address(text)
        networks = [ip_network(each) for each in INSIDE.split()]
        return any(found in network for network in networks if network.version == found.version)

    ends = plain_address(source), plain_address(destination)
    expected = None
    if all(ends):
        kinds = {
            (True, True): "internal",
            (True, False): "outbound",
            (False, True): "inbound",
            (False, False): "external",
        }
        expected = kinds[is_inside(ends[0]), is_inside(ends[1])]
    assert direction(source, destination) == expected


times = st.one_of(
    st.datetimes(timezones=st.sampled_from([*ZONES, None])).map(str),
    st.datetimes().map(lambda at: at.replace(year=1890 + at.year % 60).isoformat()),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z")),
    st.from_regex(
        r"20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][0-2][0-9](:[0-6][0-9]){2}(\.[0-9]{1,9})?(Z|\+08:00)?", fullmatch=True
    ),
    st.text("0123456789-:TZ+.W １", max_size=26),
)


@settings(max_examples=400)
@given(times, st.sampled_from(ZONES))
def test_a_time_is_what_the_standard_library_says(text: str, zone: ZoneInfo) -> None:
    try:
        found = datetime.fromisoformat(text)
        expected = rfc3339(found if found.tzinfo else found.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        with pytest.raises(ParseError):
            moment(text, zone, step="x")
        return
    assert moment(text, zone, step="x") == expected


@given(st.integers(0, 10**13 - 1))
def test_milliseconds_since_1970_are_a_time(milliseconds: int) -> None:
    expected = rfc3339(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds))
    assert epoch(f"{milliseconds:013}", step="x") == expected


@given(st.integers(-(10**19), 10**19).map(str) | st.text("0123456789-.１ ", max_size=20))
def test_a_number_is_one_of_decimal_digits_that_an_index_holds(text: str) -> None:
    digits = text.strip().removesuffix(".0")
    is_one = digits.removeprefix("-").isdecimal() and len(digits) <= 20 and abs(int(digits)) < 2**63
    assert number_of(text) == (int(digits) if is_one else None)


PARTS = re.compile(
    r"(?P<percent>(?:%(?:25){0,3}[0-9A-Fa-f]{2}[\w.+-]{0,64})+)"
    r"|(?P<escapes>(?:\\{1,4}u[0-9A-Fa-f]{4}[ -~]{0,3}?)+)"
    r"|(?P<entities>(?:&\#x?[0-9A-Fa-f]{1,6};[ -%'-~]{0,3}?)+)"
    r"|(?P<base64>[A-Za-z0-9+/_-]{20,}={0,2})",
    re.X,
)
MARKS = [
    *"%\\&=-_/+.':：#是\"^李é \n",
    "&#",
    "%41",
    "%2541",
    "\\u674e",
    "\\\\u674E",
    "&#x41;",
    "&#65;",
    "&#1234567;",
    ", ",
]
WORDS = [
    "a" * 19,
    "a" * 20,
    "b" * 40,
    "w" * 64,
    "patient",
    "Name",
    "family",
    "given",
    "sur",
    "first ",
    "John",
    "O'Neil",
    "C:",
]
pieces = st.sampled_from([*MARKS, *WORDS, "host"])
pieced = st.lists(pieces, max_size=10).map("".join)


@settings(max_examples=400)
@given(pieced)
def test_encoded_parts_are_those_that_a_search_from_each_place_finds(text: str) -> None:
    seen: list[tuple[str, str]] = []

    def judge(kind: str, part: str) -> bool:
        seen.append((kind, part))
        return len(part) % 2 == 0

    def replacement(found: re.Match[str]) -> str:
        return hidden.ENCODED if len(found[0]) % 2 == 0 else found[0]

    assert hidden.replaced(text, judge) == PARTS.sub(replacement, text)
    assert seen == [(str(found.lastgroup), found[0]) for found in PARTS.finditer(text)]


@settings(max_examples=400)
@given(pieced)
def test_names_beside_words_are_those_that_a_search_from_each_place_finds(text: str) -> None:
    expected = identifiers._LABELLED.sub(r"\1\2[name]", text)
    assert identifiers._Labelled().apply(text, 0) == expected
