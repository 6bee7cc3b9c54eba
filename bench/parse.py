"""Parse and scrub per source, beside decoding the resulting event from JSON; the scrub alone, beside parsing."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import orjson

from bench.figures import Figure
from ingest.parsers import PARSERS, Parser, Record, Site, parser
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.event import encode

KEY = bytes(32)


def run(quick: bool) -> list[Figure]:
    """Measure every source, together ≤ 6 s when quick, each on the records of its sample."""
    seconds = 0.2 if quick else 2.0
    return [figure for name in PARSERS for figure in _measure(parser(name), seconds)]


def _measure(source: Parser, seconds: float) -> list[Figure]:
    records = [Record(data, peer="10.3.1.5") for data in source.split(source.sample())]
    tokens, site = HmacTokens(KEY), Site()
    docs = [parsed.doc for record in records for parsed in source.parse(record, site)]
    encoded = [encode(doc) for doc in docs]

    def both() -> int:
        return len([scrub(one.doc, source.policy, tokens) for record in records for one in source.parse(record, site)])

    both()  # the first look compiles the patterns
    both_per_s = _rate(both, seconds)
    decoded_per_s = _rate(lambda: len([orjson.loads(data) for data in encoded]), seconds / 4)
    parse_s = 1 / _rate(lambda: sum(len(source.parse(record, site)) for record in records), seconds / 4)
    scrub_s = 1 / _rate(lambda: len([scrub(doc, source.policy, tokens) for doc in docs]), seconds / 4)
    return [
        Figure(
            name=f"parse {source.name}",
            value=both_per_s,
            unit="events/s",
            compared_with="orjson.loads of the event",
            ratio=both_per_s / decoded_per_s,
            target="≥ 5,000 events/s",
        ),
        Figure(
            name=f"scrub {source.name}",
            value=scrub_s * 1e6,
            unit="µs/event",
            compared_with="parsing it",
            ratio=scrub_s / parse_s,
            target="≤ 0.40",
        ),
    ]


def _rate(work: Callable[[], int], seconds: float) -> float:
    done, start = 0, perf_counter()
    while (elapsed := perf_counter() - start) < seconds:
        done += work()
    return done / elapsed
