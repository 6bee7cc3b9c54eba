"""What only Elasticsearch has: names, mappings, the limits that hostile logs run into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.wardwatch.store.samples import EVERYBODY, START, alert, event, settle
from wardwatch.errors import SettingsError, StoreUnavailable
from wardwatch.store import AlertQuery, Outcome, Result, open_store
from wardwatch.store.elasticsearch import ElasticsearchStore, search
from wardwatch.store.elasticsearch.templates import templates


@pytest.fixture
def store(elasticsearch: str, tenant: str) -> Iterator[ElasticsearchStore]:
    """A store on the real server."""
    opened = ElasticsearchStore(elasticsearch)
    opened.setup()
    yield opened
    for index in httpx.get(f"{elasticsearch}/_cat/indices/*{tenant}*?format=json&h=index").json():
        httpx.delete(f"{elasticsearch}/{index['index']}")
    opened.close()


@pytest.mark.parametrize("url", ["http://", "https://:9200", "http://host:port", "http://host:99999"])
def test_a_url_without_host_or_port_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match="names no host"):
        open_store(url)


def test_the_port_has_a_default_and_secrets_are_not_shown() -> None:
    store = open_store("https://elastic:p%40ss@es.example")
    assert store.url == "https://es.example:9200"
    store.close()


@pytest.mark.elasticsearch
def test_indices_are_named_by_tenant_and_period(store: ElasticsearchStore, tenant: str) -> None:
    store.alerts.write([alert(tenant)])
    store.events.write([event(tenant)])
    found = httpx.get(f"{store.url}/_cat/indices/*{tenant}*?format=json&h=index").json()
    assert {row["index"] for row in found} == {
        f"logs-wardwatch.alert-{tenant}-2026.03",
        f"logs-wardwatch.event-{tenant}-2026.03.10",
    }


@pytest.mark.elasticsearch
def test_elastic_security_can_find_the_alerts_by_its_own_query(store: ElasticsearchStore, tenant: str) -> None:
    write = alert(tenant)
    store.alerts.write([write])
    settle(store)
    query = {"query": {"bool": {"filter": [{"term": {"event.kind": "alert"}}, {"term": {"event.severity": 73}}]}}}
    found = httpx.request("GET", f"{store.url}/logs-*{tenant}*/_search", json=query).json()
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [write.id]


@pytest.mark.elasticsearch
def test_addresses_are_found_by_network_and_numbers_by_range(store: ElasticsearchStore, tenant: str) -> None:
    store.events.write([event(tenant, 1, source__port=70), event(tenant, 2, source__ip="10.9.0.1", source__port=514)])
    settle(store)

    def hits(clause: dict[str, object]) -> list[str]:
        answer = httpx.request("GET", f"{store.url}/logs-*{tenant}*/_search", json={"query": clause}).json()
        return [hit["_source"]["source.ip"] for hit in answer["hits"]["hits"]]

    assert hits({"term": {"source.ip": "10.3.0.0/16"}}) == ["10.3.1.5"]
    assert hits({"range": {"source.port": {"gt": 100}}}) == ["10.9.0.1"]


@pytest.mark.elasticsearch
def test_no_log_can_grow_the_mapping_beyond_its_limit(store: ElasticsearchStore, tenant: str) -> None:
    names: list[dict[str, Any]] = [{f"n{number}_{name}": 1 for name in range(900)} for number in range(5)]
    flood = [event(tenant, number, **fields) for number, fields in enumerate(names)]
    assert store.events.write(flood) == [Result(Outcome.STORED)] * 5
    answer = httpx.get(f"{store.url}/logs-wardwatch.event-{tenant}-*/_mapping").json()
    (index,) = answer.values()
    limit = templates()["wardwatch-events"]["template"]["settings"]["index"]["mapping.total_fields.limit"]
    assert len(index["mappings"]["properties"]) <= limit


@pytest.mark.elasticsearch
def test_a_document_that_the_index_refuses_is_rejected_with_its_reason(store: ElasticsearchStore, tenant: str) -> None:
    refused: dict[str, Any] = {"_id": "x", "_source": "x", "a..b": "x", "": "x", " ": "x", "wardwatch.search.text": "x"}
    batch = [event(tenant, 1), *(event(tenant, 10 + n, **{k: v}) for n, (k, v) in enumerate(refused.items()))]
    results = store.events.write([*batch, event(tenant, 2)])
    assert (results[0].outcome, results[-1].outcome) == (Outcome.STORED, Outcome.STORED)
    outcomes = {name: result.outcome for name, result in zip(refused, results[1:-1], strict=True)}
    assert outcomes == {**dict.fromkeys(refused, Outcome.REJECTED), "a..b": Outcome.STORED}
    assert all(result.reason for result in results if result.outcome is Outcome.REJECTED)


@pytest.mark.elasticsearch
def test_setting_up_twice_changes_nothing(store: ElasticsearchStore) -> None:
    before = httpx.get(f"{store.url}/_index_template/wardwatch-*").json()
    store.setup()
    store.ping()
    assert httpx.get(f"{store.url}/_index_template/wardwatch-*").json() == before
    assert {item["name"] for item in before["index_templates"]} == set(templates())


@pytest.mark.elasticsearch
def test_an_alert_of_a_month_that_expired_can_be_written_again(store: ElasticsearchStore, tenant: str) -> None:
    write = alert(tenant)
    for _ in range(2):
        assert store.alerts.write([write]) == [Result(Outcome.STORED)]
        assert store.alerts.expire(tenant, START.replace(month=4)) == 1


@pytest.fixture
def shardless(store: ElasticsearchStore, tenant: str) -> Callable[[], None]:
    """Open an index of alerts whose shard no node takes, and return what gives it to one."""
    index = f"{store.url}/logs-wardwatch.alert-{tenant}-2026.03"
    nowhere = "index.routing.allocation.require._name"
    settings = {"settings": {nowhere: "no such node"}}
    httpx.put(f"{index}?wait_for_active_shards=0", json=settings, timeout=30).raise_for_status()

    def give() -> None:
        httpx.put(f"{index}/_settings", json={nowhere: None}, timeout=30).raise_for_status()

    return give


@pytest.mark.elasticsearch
def test_a_part_of_the_alerts_is_no_answer(
    store: ElasticsearchStore, tenant: str, shardless: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_WAITS_S", (0.01,))
    store.alerts.write([alert(f"{tenant}x")])
    query = AlertQuery(tenants=frozenset({tenant, f"{tenant}x"}))
    calls: list[Callable[[], object]] = [
        lambda: store.alerts.search(EVERYBODY, query),
        lambda: store.alerts.count(EVERYBODY, query, "status"),
        lambda: store.alerts.get(EVERYBODY, [alert(tenant).id]),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    shardless()


@pytest.mark.elasticsearch
def test_a_search_waits_for_an_index_that_was_opened_a_moment_ago(
    store: ElasticsearchStore, tenant: str, shardless: Callable[[], None]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(store.alerts.search, EVERYBODY, AlertQuery(tenants=frozenset({tenant})))
        shardless()
        assert found.result().total == 0
