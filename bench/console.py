"""The console under a shift: twenty analysts read queue and alerts while a bulk change closes ten thousand.

The alerts are spread over fifty hospitals and thirty days. Readers are real HTTP clients in processes of their own. The
ratio of a page is to the same number of bytes served as a static file beside it; that of the bulk change is to one
request for each alert.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import httpx

from bench.figures import Figure
from dashboards.app import create, server_of
from dashboards.auth.people import People, Role, new_person
from dashboards.console import Console
from wardwatch import topics
from wardwatch.alert import AlertDocument, Severity, Verdict, alert_id, new_workflow, priority_level
from wardwatch.bus import open_bus
from wardwatch.event import rfc3339
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.settings import ConsoleSettings
from wardwatch.store import AlertWrite, Store, open_store
from wardwatch.tables import Tables
from wardwatch.testing.elasticsearch import ElasticsearchServer
from wardwatch.testing.ports import free_port, wait_until

ANALYSTS, REQUESTS = 20, 15
HOSPITALS = 50
BULK = 10_000
OPEN_SHARE = 0.02
_PASSWORD = "bench bench bench"
_BATCH = 2_000


def run(quick: bool) -> list[Figure]:
    """Measure on the embedded store and on a real Elasticsearch, unless WARDWATCH_BENCH_STORE names one of them."""
    alerts = 100_000 if quick else 1_000_000
    figures: list[Figure] = []
    named = os.environ.get("WARDWATCH_BENCH_STORE", "sqlite" if quick else "sqlite elasticsearch").split()
    with tempfile.TemporaryDirectory() as folder:
        if "sqlite" in named:
            figures += _figures("sqlite", f"sqlite:///{folder}/store.sqlite", folder, alerts)
        if "elasticsearch" in named:
            with ElasticsearchServer() as server:
                figures += _figures("elasticsearch", server.url, folder, alerts)
    return figures


def _figures(name: str, url: str, folder: str, alerts: int) -> Iterator[Figure]:
    store = open_store(url)
    store.setup()
    ids = fill(store, alerts)
    with _served(store, Path(folder, f"{name}.sqlite")) as (address, console):
        yield from _measured(name, address, console, ids)
    store.close()


def _measured(name: str, address: str, console: Console, ids: Sequence[str]) -> Iterator[Figure]:
    static = p95(_read(address, ["/static/console.css"] * REQUESTS * ANALYSTS))
    for what, paths, target in (
        ("queue", ["/", "/?sort=newest", "/?assignee=-", "/?due=soon&sort=due", "/?tenant=h07"], 150),
        ("alert", [f"/alerts/{each}" for each in random.Random(1).sample(ids, 50)], 200),
    ):
        chosen = [paths[number % len(paths)] for number in range(REQUESTS * ANALYSTS)]
        took = p95(_read(address, chosen))
        yield Figure(
            f"console, {name}: {what}, p95 of {ANALYSTS}",
            took * 1000,
            "ms",
            "a static file",
            took / static,
            f"{target} ms",
        )
    yield from _bulk(name, address, console)


def _bulk(name: str, address: str, console: Console) -> Iterator[Figure]:
    with _signed_in(address) as client:
        token = client.get("/api/v1/me").json()["csrf"]
        headers = {"X-CSRF-Token": token}
        one_by_one = client.get("/api/v1/alerts?sort=newest").json()["alerts"][:50]
        begun = time.perf_counter()
        for alert in one_by_one:
            body = {"state": alert["state"], "verdict": Verdict.DUPLICATE.value}
            identifier = alert["document"]["event"]["id"]
            client.post(f"/api/v1/alerts/{identifier}/close", json=body, headers=headers).raise_for_status()
        each = (time.perf_counter() - begun) / len(one_by_one)
        order = {
            "key": "bench-bulk-1",
            "action": "close",
            "verdict": "duplicate",
            "note": "bench",
            "filter": {"status": "new"},
        }
        begun = time.perf_counter()
        job = client.post("/api/v1/bulk", json=order, headers=headers).json()["id"]
        wait_until(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "done", what="bulk", timeout_s=300)
        took = time.perf_counter() - begun
        done = client.get(f"/api/v1/jobs/{job}").json()["done"]
    per = took / done
    yield Figure(f"console, {name}: bulk close of {BULK:,}", per * BULK, "s", "one request each", each / per, "5 s")


def fill(store: Store, alerts: int) -> list[str]:
    """Write so many alerts, one in fifty of them open and BULK at least, and return the ids of some open ones."""
    chance, now = random.Random(7), datetime.now(UTC)
    wanted = max(BULK * 1.2 / alerts, OPEN_SHARE)
    ids: list[str] = []
    for start in range(0, alerts, _BATCH):
        writes = [_alert(chance, now, number, chance.random() < wanted) for number in range(start, start + _BATCH)]
        store.alerts.write(writes)
        ids += [write.id for write in writes if write.workflow["status"] == "new"]
    return ids


def _alert(chance: random.Random, now: datetime, number: int, is_open: bool) -> AlertWrite:
    tenant, severity = f"h{chance.randrange(HOSPITALS):02}", chance.choice(list(Severity)[1:])
    created = now - timedelta(minutes=chance.uniform(1, 43_000 if not is_open else 900))
    rule = f"rule_{chance.randrange(200)}"
    identifier, priority = alert_id(tenant, rule, str(number), created), chance.randrange(20, 95)
    user, host = f"st_{chance.randrange(5000):04x}", f"ws-{chance.randrange(3000)}"
    doc: AlertDocument = {
        "@timestamp": rfc3339(created),
        "message": f"Rule {rule} met",
        "event": {
            "id": identifier,
            "kind": "alert",
            "created": rfc3339(created),
            "severity": severity.number,
            "reason": f"{user} did what {rule} finds on {host}.",
        },
        "rule": {"id": rule, "uuid": rule, "name": f"Rule {rule}", "description": "What it finds.", "version": "1"},
        "organization": {"id": tenant, "name": tenant},
        "host": {"name": host},
        "user": {"id": user},
        "related": {"user": [user], "hosts": [host]},
        "wardwatch": {
            "alert": {
                "count": chance.randrange(1, 50),
                "first_seen": rfc3339(created),
                "last_seen": rfc3339(created),
                "fingerprint": f"{tenant}/{rule}/{number}",
                "group_by": {"user.id": user},
                "title": {"en": f"Rule {rule} met", "zh": f"命中规则 {rule}"},
                "sentence": {"en": f"{user} on {host}", "zh": f"{user} 在 {host}"},
                "asset_criticality": chance.choice(["", "office", "diagnostic", "his_core"]),
                "priority": priority,
                "priority_level": priority_level(priority),
                "priority_reasons": [{"term": "severity", "value": 0.5, "points": priority}],
                "matched": [{"field": "user.id", "values": [user]}],
                "source_events": [],
            }
        },
    }
    if is_open:
        return AlertWrite(identifier, doc, None, new_workflow(Clock(DEFAULT, severity, UTC).started(created)))
    closed = {"status": "closed", "verdict": "duplicate", "closed_at": rfc3339(created + timedelta(minutes=30))}
    return AlertWrite(identifier, doc, None, closed)


@contextmanager
def _served(store: Store, bus_path: Path) -> Iterator[tuple[str, Console]]:
    bus = open_bus(f"sqlite:///{bus_path}.bus")
    bus.ensure_topics(topics.shared())
    tables = Tables(bus)
    tables.put_rows("tenants", "", {f"h{n:02}": {"name": {"en": f"Hospital {n}"}} for n in range(HOSPITALS)})
    tables.catch_up()
    People(store).add(new_person("bench", _PASSWORD, Role.ANALYST, []))
    console = Console(ConsoleSettings(secure_cookies=False), store, tables)
    listen = f"127.0.0.1:{free_port()}"
    server = server_of(create(console), listen)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="console")
    try:
        yield f"http://{listen}", console
    finally:
        console.feed.close()
        console.jobs.close()
        server.should_exit = True
        thread.join()
        tables.close()
        bus.close()


@contextmanager
def _signed_in(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        token = client.get("/login").text.split('name="csrf" value="')[1].split('"')[0]
        client.post("/login", data={"name": "bench", "password": _PASSWORD, "csrf": token})
        yield client


def _read(address: str, paths: Sequence[str]) -> list[float]:
    """Return the seconds that each path took, asked for by ANALYSTS at the same time."""

    def analyst(own: Sequence[str]) -> list[float]:
        took = []
        with _signed_in(address) as client:
            for path in own:
                begun = time.perf_counter()
                client.get(path).raise_for_status()
                took.append(time.perf_counter() - begun)
        return took

    with ThreadPoolExecutor(ANALYSTS) as pool:
        shares = [paths[number::ANALYSTS] for number in range(ANALYSTS)]
        return [took for share in pool.map(analyst, shares) for took in share]


def p95(took: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(took, n=20)[-1]
