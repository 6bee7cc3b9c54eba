"""The console under a shift: twenty analysts read queue and alerts, a bulk change closes ten thousand, alerts arrive.

The alerts are spread over fifty hospitals and thirty days, one in fifty is open. The analysts are real HTTP clients in
a process of their own; each looks at what it got for a second, more or less, before it asks again, so that twenty of
them ask about twenty times a second. The ratio of a page is to a static file that they read in the same way; that of
the bulk change is to one request for each alert. A real Chromium opens the queue and watches it while alerts arrive.

WARDWATCH_BENCH_STORE names the stores to measure. SQLite's filled store is kept in ``.cache/bench`` for the next run,
which measures a copy of it; it is filled anew when the code that fills it has changed. Elasticsearch first merges what
filling it left behind: a hospital's alerts do not arrive two thousand a second.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import httpx
import orjson
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.analysts import Round, shift
from bench.figures import Figure
from dashboards.app import create, server_of
from dashboards.auth.people import People, Role, new_person
from dashboards.console import Console
from dashboards.feed import follow
from wardwatch import topics
from wardwatch.alert import OPEN, AlertDocument, Severity, Verdict, alert_id, new_workflow, priority_level
from wardwatch.bus import Bus, open_bus
from wardwatch.event import rfc3339
from wardwatch.service_levels import DEFAULT, Clock
from wardwatch.settings import ConsoleSettings
from wardwatch.stage import Runtime
from wardwatch.store import AlertQuery, AlertWrite, Scope, Store, open_store
from wardwatch.tables import Tables
from wardwatch.testing.browser import ARGUMENTS, ensure
from wardwatch.testing.elasticsearch import ElasticsearchServer
from wardwatch.testing.ports import free_port, wait_until

ANALYSTS = 20
LOOKS_S = (0.5, 1.5)
HOSPITALS = 50
BULK = 10_000
OPEN_SHARE = 0.02
PER_S = 50
_PASSWORD = "bench bench bench"
_BATCH = 2_000
_CACHE = Path(__file__).parents[1] / ".cache" / "bench"
_ASKS_S = 0.5  # the page asks for a job's progress every 0.7 s
_QUEUES = ["/", "/?sort=newest", "/?assignee=-", "/?due=soon&sort=due", "/?tenant=h07"]
_WATCH = """() => { window.longest = 0; new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
}).observe({ type: "longtask" }); }"""


@dataclass(frozen=True)
class _Plan:
    """How much is measured: ``requests`` of an analyst to a page, ``loads`` of a browser, ``watched_s`` of rain."""

    alerts: int
    requests: int
    loads: int
    arrivals: int
    watched_s: float


_WHOLE = _Plan(1_000_000, 15, 5, 10, 10)
_QUICK = _Plan(100_000, 2, 1, 3, 1)


def run(quick: bool) -> Iterator[Figure]:
    """Measure on the embedded store and on a real Elasticsearch, unless WARDWATCH_BENCH_STORE names one of them."""
    plan = _QUICK if quick else _WHOLE
    named = os.environ.get("WARDWATCH_BENCH_STORE", "sqlite" if quick else "sqlite elasticsearch").split()
    with tempfile.TemporaryDirectory() as place:
        if "sqlite" in named:
            shutil.copyfile(_filled(plan.alerts), f"{place}/store.sqlite")
            yield from _figures("SQLite", f"sqlite:///{place}/store.sqlite", Path(place), plan)
        if "elasticsearch" in named:
            with ElasticsearchServer(heap="2g") as server:
                yield from _figures("Elasticsearch", server.url, Path(place), plan)


def _filled(alerts: int) -> Path:
    """Return the file of a SQLite store with so many alerts, filled by this code at some time today."""
    root = Path(__file__).parents[1]
    sources = [Path(__file__), *sorted((root / "wardwatch" / "store").rglob("*.py")), root / "wardwatch" / "alert.py"]
    text = b"".join(path.read_bytes() for path in sources) + f"{datetime.now(UTC):%F}".encode()
    kept = _CACHE / f"console-{alerts}-{blake2b(text, digest_size=8).hexdigest()}.sqlite"
    if not kept.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        for old in _CACHE.glob(f"console-{alerts}-*"):
            old.unlink()
        with tempfile.TemporaryDirectory(dir=_CACHE) as place:
            store = open_store(f"sqlite:///{place}/store.sqlite")
            store.setup()
            fill(store, alerts)
            store.close()
            Path(place, "store.sqlite").rename(kept)
    return kept


@dataclass(frozen=True)
class _Site:
    """A served console, and what is behind it."""

    name: str
    address: str
    store: Store
    bus: Bus
    plan: _Plan


def _figures(name: str, url: str, place: Path, plan: _Plan) -> Iterator[Figure]:
    store = open_store(url)
    store.setup()
    everybody, in_queue = Scope("bench"), AlertQuery(statuses=OPEN)
    if not store.alerts.totals(everybody, [in_queue])[0]:
        fill(store, plan.alerts)
    if not url.startswith("sqlite:"):
        _settle(url)
    found = store.alerts.search(everybody, in_queue, sort="due", limit=200)
    with _served(name, store, place / name, plan) as site:
        yield from _pages(site, [item.doc["event"]["id"] for item in found.items])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=ensure(), args=ARGUMENTS)
            yield from _seen(site, browser)
            browser.close()
        yield from _bulk(site)
    store.close()


def _settle(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
        client.post("/_refresh").raise_for_status()

        def merged() -> bool:
            stats = client.get("/_stats/merge").raise_for_status().json()
            return bool(stats["_all"]["total"]["merges"]["current"] == 0)

        wait_until(merged, what="merges", timeout_s=600)


def _pages(site: _Site, ids: Sequence[str]) -> Iterator[Figure]:
    static, queue, alert, busy, alone = _read(
        site,
        [
            Round(["/static/console.css"], LOOKS_S),
            Round(_QUEUES, LOOKS_S),
            Round([f"/alerts/{each}" for each in ids], LOOKS_S),
            Round(_QUEUES),
            Round(_QUEUES, analysts=1),
        ],
    )
    for what, took, target in (("queue", p95(queue), 150), ("alert", p95(alert), 200)):
        name = f"console on {site.name}: {what}, p95 of {ANALYSTS} analysts"
        yield Figure(name, took * 1000, "ms", "a static file", took / p95(static), f"{target} ms")
    rate, one = ANALYSTS / mean(busy), 1 / mean(alone)
    name = f"console on {site.name}: queue pages without a pause"
    yield Figure(name, rate, "a second", "one analyst alone", rate / one, "none")


def _seen(site: _Site, browser: Browser) -> Iterator[Figure]:
    loads = [_loaded(_visit(site, browser)) for _ in range(site.plan.loads)]
    sent, ready = max(size for size, _ in loads), median(ready for _, ready in loads)
    document = len(_signed_in_page(site, "/"))
    yield Figure(f"console on {site.name}: first load", sent / 1000, "KB", "its document", sent / document, "300 KB")
    yield Figure(f"console on {site.name}: queue answers keys", ready, "ms", "one second", ready / 1000, "1,000 ms")
    context = _visit(site, browser)
    watched = context.new_page()
    watched.goto("/")
    watched.wait_for_selector("body[data-live=on]")
    shown = max(_arrives(site, watched) for _ in range(site.plan.arrivals))
    yield Figure(f"console on {site.name}: stored to seen", shown * 1000, "ms", "two seconds", shown / 2, "2,000 ms")
    watched.evaluate(_WATCH)
    _rain(site)
    longest = float(watched.evaluate("window.longest"))
    context.close()
    name = f"console on {site.name}: longest task, {PER_S} alerts a second"
    yield Figure(name, longest, "ms", "100 ms", longest / 100, "100 ms (0: none above 50)")


def _visit(site: _Site, browser: Browser) -> BrowserContext:
    """Return a browser without a cache whose analyst is signed in."""
    context = browser.new_context(base_url=site.address)
    with _signed_in(site.address) as client:
        context.add_cookies(
            [{"name": name, "value": text, "url": site.address} for name, text in client.cookies.items()]
        )
    return context


def _loaded(context: BrowserContext) -> tuple[int, float]:
    """Return the bytes on the wire of a first visit, and the milliseconds until its modules have run."""
    page = context.new_page()
    network, sizes = context.new_cdp_session(page), []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    network.send("Network.enable")
    page.goto("/")
    page.wait_for_selector("body[data-live=on]")
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    context.close()
    return int(sum(sizes)), float(ready)


def _arrives(site: _Site, page: Page) -> float:
    before = page.inner_text("#pill") if page.is_visible("#pill") else ""
    _raise(site, random.Random())
    begun = time.perf_counter()
    page.wait_for_function(
        "(before) => { const p = document.getElementById('pill'); return !p.hidden && p.innerText !== before }",
        arg=before,
        polling=20,
    )
    return time.perf_counter() - begun


def _rain(site: _Site) -> None:
    chance, begun = random.Random(), time.perf_counter()
    for number in range(int(PER_S * site.plan.watched_s)):
        _raise(site, chance)
        time.sleep(max(0.0, begun + (number + 1) / PER_S - time.perf_counter()))


def _raise(site: _Site, chance: random.Random) -> None:
    write = _alert(chance, datetime.now(UTC), chance.getrandbits(60), is_open=True)
    site.store.alerts.write([write])
    producer = site.bus.producer()
    record = {"id": write.id, "tenant": write.doc["organization"]["id"], "kind": "created"}
    producer.send(topics.ALERTS.name, orjson.dumps(record), key=write.id)
    producer.flush()
    producer.close()


def _bulk(site: _Site) -> Iterator[Figure]:
    with _signed_in(site.address) as client:
        headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}
        one_by_one = client.get("/api/v1/alerts?sort=newest&status=new").json()["alerts"][:25]
        begun = time.perf_counter()
        for alert in one_by_one:
            body = {"state": alert["state"], "verdict": Verdict.DUPLICATE.value}
            identifier = alert["document"]["event"]["id"]
            client.post(f"/api/v1/alerts/{identifier}/close", json=body, headers=headers).raise_for_status()
        each = (time.perf_counter() - begun) / len(one_by_one)
        order = {"action": "close", "verdict": "duplicate", "note": "bench", "filter": {"status": "new"}}
        closed, took = _job(client, {**order, "key": os.urandom(8).hex()}, headers)
    per = took / closed["done"]
    name = f"console on {site.name}: bulk close of {BULK:,}"
    yield Figure(name, per * BULK, "s", "one request each", each / per, "5 s")


def _job(client: httpx.Client, order: Any, headers: dict[str, str]) -> tuple[dict[str, Any], float]:
    begun = time.perf_counter()
    answer = client.post("/api/v1/bulk", json=order, headers=headers)
    answer.raise_for_status()
    job: dict[str, Any] = answer.json()
    while job["state"] != "done":
        time.sleep(_ASKS_S)
        job = client.get(f"/api/v1/jobs/{job['id']}").json()
    return job, time.perf_counter() - begun


def fill(store: Store, alerts: int) -> None:
    """Write so many alerts, one in fifty of them open, and BULK at least."""
    chance, now = random.Random(7), datetime.now(UTC)
    wanted = max(BULK * 1.2 / alerts, OPEN_SHARE)
    for start in range(0, alerts, _BATCH):
        writes = [_alert(chance, now, number, chance.random() < wanted) for number in range(start, start + _BATCH)]
        store.alerts.write(writes)


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
def _served(name: str, store: Store, place: Path, plan: _Plan) -> Iterator[_Site]:
    bus, runtime = open_bus(f"sqlite:///{place}.bus"), Runtime("console")
    bus.ensure_topics(topics.shared())
    tables = Tables(bus)
    tables.put_rows("tenants", "", {f"h{n:02}": {"name": {"en": f"Hospital {n}"}} for n in range(HOSPITALS)})
    tables.catch_up()
    People(store).add(new_person("bench", _PASSWORD, Role.ANALYST, []))
    console = Console(ConsoleSettings(secure_cookies=False), store, tables)
    listen = f"127.0.0.1:{free_port()}"
    server = server_of(create(console), listen)
    threads = [
        threading.Thread(target=server.run),
        threading.Thread(target=follow, args=(bus, console.feed, runtime)),
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: server.started, what="console")
    try:
        yield _Site(name, f"http://{listen}", store, bus, plan)
    finally:
        console.feed.close()
        console.close()
        runtime.stopping.set()
        server.should_exit = True
        for thread in threads:
            thread.join()
        tables.close()
        bus.close()


@contextmanager
def _signed_in(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        token = client.get("/login").text.split('name="csrf" value="')[1].split('"')[0]
        client.post("/login", data={"name": "bench", "password": _PASSWORD, "csrf": token})
        yield client


def _signed_in_page(site: _Site, path: str) -> bytes:
    with _signed_in(site.address) as client:
        return client.get(path).content


def _read(site: _Site, rounds: Sequence[Round]) -> list[list[float]]:
    """Return the seconds that each page of each round took, asked for from another process."""
    with _signed_in(site.address) as client, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        cookies = dict(client.cookies)
        return pool.submit(shift, site.address, cookies, rounds, ANALYSTS, site.plan.requests).result()


def p95(took: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(took, n=20)[-1]
