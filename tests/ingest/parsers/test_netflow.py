"""Flows of NetFlow and IPFIX."""

from __future__ import annotations

import pytest

from ingest.parsers.netflow import community_id
from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError


def test_a_flow_of_v5_has_both_ends_and_what_went_between() -> None:
    doc = sample("netflow")[0]
    assert part(doc, "source.ip", "source.port", "destination.ip", "destination.port", "network.transport") == (
        "10.3.1.77",
        49822,
        "203.0.113.9",
        443,
        "tcp",
    )
    assert part(doc, "network.bytes", "network.packets", "network.direction", "event.duration") == (
        4210,
        12,
        "outbound",
        1_000_000_000,
    )
    assert part(doc, "netflow.tcp_flags", "observer.ingress.interface.id", "observer.egress.interface.id") == (
        ["FIN", "SYN", "PSH", "ACK"],
        "3",
        "1",
    )


def test_the_other_way_of_a_biflow_is_the_destinations() -> None:
    doc = sample("netflow")[1]
    assert part(doc, "source.bytes", "destination.bytes", "network.bytes") == (918, 73122, 74040)
    assert part(doc, "event.reason", "source.mac", "network.vlan.id") == ("end of flow", "00-00-5E-00-53-23", "120")


def test_a_flow_of_ipv6_says_so_and_how_it_was_sampled() -> None:
    doc = sample("netflow")[2]
    assert part(doc, "network.type", "network.transport", "netflow.sampling_interval", "netflow.flow_direction") == (
        "ipv6",
        "ipv6-icmp",
        100,
        "ingress",
    )


def test_the_community_id_is_that_of_the_specifications_example() -> None:
    """Corelight's community-id-spec, baseline of seed 0: TCP, one flow both ways."""
    ends = ("128.232.110.120", 34855), ("66.35.250.204", 80)
    assert community_id(*ends, 6) == community_id(*ends[::-1], 6) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


@pytest.mark.parametrize(
    "record",
    ["", "{}", '{"exported":1772302290000}', '{"sourceIPv4Address":"10.3.1.7"}', '{"exported":"x","version":5}'],
)
def test_what_is_no_flow_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("netflow", record)
