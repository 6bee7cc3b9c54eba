"""Flows that softflowd exports of a capture are those that are in it."""

from __future__ import annotations

import socket
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from tests.ingest.packets import Total, Way, capture
from tests.ingest.running import Running, events, running
from wardwatch.event import Document
from wardwatch.settings import SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import wait_until

FLOW = SourceSettings(parser="netflow", transport="flow", listen="127.0.0.1:0")
PROTOCOLS = {"tcp": 6, "udp": 17}


def export(path: Path, port: int, *options: str) -> None:
    words = [program("softflowd", "softflowd"), "-r", str(path), "-n", f"127.0.0.1:{port}", *options]
    subprocess.run(words, capture_output=True, check=True)


def seen(site: Running, number: int) -> list[Document]:
    wait_until(lambda: site.counts("netflow")[0] >= number and site.settled(), what=f"{number} flows")
    return [dict(event) for event in events(site.settings)]


def way(doc: Document, one: str = "source", other: str = "destination") -> Way:
    protocol = PROTOCOLS[doc["network.transport"]]
    return Way(doc[f"{one}.ip"], doc[f"{other}.ip"], doc[f"{one}.port"], doc[f"{other}.port"], protocol)


def octets_and_packets(totals: dict[Way, Total]) -> dict[Way, tuple[int, int]]:
    return {way: (total.octets, total.packets) for way, total in totals.items()}


def span_ms(truth: dict[Way, Total], *ways: Way) -> tuple[int, int]:
    """Return when a connection began and ended, both ways together: what softflowd says of each."""
    totals = [truth[way] for way in ways if way in truth]
    return min(total.first_ms for total in totals), max(total.last_ms for total in totals)


def apart_ms(time: str, truth_ms: int) -> int:
    """Return how far a time is from the truth but for whole turns of the exporter's clock, which has 32 bits."""
    found = round(datetime.fromisoformat(time).timestamp() * 1000) - truth_ms
    return abs((found + 2**31) % 2**32 - 2**31)


@pytest.mark.parametrize("version", [5, 9, 10])
def test_the_flows_of_a_capture_are_those_that_are_in_it(tmp_path: Path, version: int) -> None:
    truth = capture(tmp_path / "a.pcap", 120)
    if version == 5:
        truth = {way: total for way, total in truth.items() if ":" not in way.source}  # v5 has no IPv6
    with running(tmp_path / "data", FLOW) as site:
        export(tmp_path / "a.pcap", site.port(), "-v", str(version))
        docs = seen(site, len(truth))
        found = {way(doc): (doc["source.bytes"], doc["source.packets"]) for doc in docs}
        assert (len(docs), found) == (len(truth), octets_and_packets(truth))
        state = site.listeners[0].state()
        assert (state["flows"], state["malformed"], state["held_bytes"]) == (len(truth), 0, 0)
        assert (state["lost_flows"], state["lost_datagrams"]) == (0, 0)
        for doc in docs:
            first, last = span_ms(truth, way(doc), way(doc, "destination", "source"))
            assert abs(doc["event.duration"] / 1_000_000 - (last - first)) <= 1
            assert max(apart_ms(doc["event.start"], first), apart_ms(doc["event.end"], last)) <= 1000
            assert doc["observer.ip"] == "127.0.0.1"


def test_a_biflow_has_the_bytes_of_both_ways(tmp_path: Path) -> None:
    truth = octets_and_packets(capture(tmp_path / "a.pcap", 60))
    with running(tmp_path / "data", FLOW) as site:
        export(tmp_path / "a.pcap", site.port(), "-v", "10", "-b")
        found: dict[Way, tuple[int, int]] = {}
        for doc in seen(site, 60):
            found[way(doc)] = (doc["source.bytes"], doc["source.packets"])
            if doc.get("destination.packets"):
                found[way(doc, "destination", "source")] = (doc["destination.bytes"], doc["destination.packets"])
        assert found == truth


def test_a_datagram_that_is_no_flow_export_is_kept_for_review(tmp_path: Path) -> None:
    with running(tmp_path, FLOW) as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"\x00\x09\x00\x01", ("127.0.0.1", site.port()))
        wait_until(lambda: site.counts("netflow") == (1, 0, 0, 1), what="a dead letter")
        assert site.listeners[0].state()["malformed"] == 1
