"""Parse and scrub per source, beside decoding the resulting event from JSON."""

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
    """Measure every source, together ≤ 3 s when quick, each on the records of its sample."""
    seconds = 0.2 if quick else 2.0
    return [_measure(parser(name), seconds) for name in PARSERS]


def _measure(source: Parser, seconds: float) -> Figure:
    records = [Record(data, peer="10.3.1.5") for data in source.split(source.sample())]
    tokens, site = HmacTokens(KEY), Site()
    encoded = [encode(parsed.doc) for record in records for parsed in source.parse(record, site)]

    def ours() -> int:
        docs = [scrub(one.doc, source.policy, tokens) for record in records for one in source.parse(record, site)]
        return len(docs)

    def plain() -> int:
        return len([orjson.loads(data) for data in encoded])

    parsed_per_s, decoded_per_s = _rate(ours, seconds), _rate(plain, seconds / 4)
    return Figure(
        name=f"parse {source.name}",
        value=parsed_per_s,
        unit="events/s",
        compared_with="orjson.loads of the event",
        ratio=parsed_per_s / decoded_per_s,
        target="≥ 5,000 events/s",
    )


def _rate(work: Callable[[], int], seconds: float) -> float:
    done, start = 0, perf_counter()
    while (elapsed := perf_counter() - start) < seconds:
        done += work()
    return done / elapsed
