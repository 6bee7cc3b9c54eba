"""``wardwatch rules convert``: what the queries find is what the rules find."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

import httpx
import orjson
import pytest

from detections import logsource, rule_tests
from detections.cli.loaded import load
from detections.converting import convert
from detections.sigma import PACK, Rule, Ruleset
from tests.detections.cli.laboratory import ROOT, Laboratory, invoke
from tests.detections.rules_under_test import rule_document
from wardwatch.store.elasticsearch.templates import EVENTS

SHIPPED = (
    "linux_ssh_root_login",
    "mysql_export",
    "mysql_tongfang",
    "hl7_patient_merge",
    "windows_recovery_disabled",
    "windows_shadow_copy_deletion",
)
SYSMON = {
    "event.module": "windows",
    "event.dataset": "windows.sysmon",
    "winlog.channel": "Microsoft-Windows-Sysmon/Operational",
}
DATASETS = {
    "linux_ssh_root_login": "linux.sshd",
    "mysql_export": "mysql.audit",
    "mysql_tongfang": "mysql.audit",
    "hl7_patient_merge": "hl7.v2",
}
KEYWORDS = ROOT | {"detection": {"keywords": ["root"], "condition": "keywords"}}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was called")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def converted(lab: Laboratory, to: str, *documents: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    for number, document in enumerate(documents):
        lab.rule(document, f"{number}.yml")
    result = invoke("convert", lab.folder, "--to", to, "--json")
    return [orjson.loads(line) for line in result.stdout.splitlines()], result.stderr


def events_of(rule: Rule) -> list[dict[str, Any]]:
    """Return the events beside a shipped rule, each also as one of another log source."""
    tests = rule_tests.read(rule_tests.test_file(rule))
    docs = [
        {key: value for key, value in doc.items() if key != "logsource"}
        for _, _, doc in tests.both
        if isinstance(doc, dict)
    ]
    if rule.logsource.product == "windows":
        return [_windows({**SYSMON, "winlog.event_id": number, **doc}) for doc in docs for number in (1, 11)]
    return [{**doc, "event.dataset": dataset} for doc in docs for dataset in (DATASETS[rule.card.slug], "other")]


def _windows(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "event.dataset": f"windows.{logsource.of_document(doc).service}"}  # as the parser writes it


@pytest.mark.parametrize("lab", [pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)], indirect=True)
@pytest.mark.parametrize("slug", SHIPPED)
def test_a_lucene_query_finds_exactly_the_events_that_the_rule_meets(lab: Laboratory, slug: str) -> None:
    ruleset = Ruleset.load([PACK])
    (rule,) = (each for each in ruleset.rules if each.card.slug == slug)
    docs = events_of(rule)
    lab.archive(docs)
    events = [lab.event(number, doc) for number, doc in enumerate(docs)]
    met = {each.id for each in events if rule in [match.rule for match in ruleset.match(each)]}
    (found,) = convert([rule], "lucene")
    (query,) = found.queries
    body = {"query": {"query_string": {"query": query}}, "size": 1000, "_source": False}
    answer = httpx.post(f"{lab.store.url}/{EVENTS}{lab.tenant}-*/_search", json=body).raise_for_status().json()
    assert {hit["_id"] for hit in answer["hits"]["hits"]} == met
    assert 0 < len(met) < len(docs)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("to", ["lucene", "esql", "eql"])
def test_conversion_calls_no_network(to: str) -> None:
    done = list(convert(load([PACK]).rules, to))
    assert sum(bool(each.queries) for each in done) >= 10
    assert all(bool(each.queries) != bool(each.refused) for each in done)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_rule_that_the_language_can_not_express_is_named_and_the_others_go_on(lab: Laboratory) -> None:
    lines, said = converted(lab, "esql", KEYWORDS, ROOT | {"id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99"})
    assert [bool(line["queries"]) for line in lines] == [False, True]
    assert "esql can't express it" in lines[0]["refused"]
    assert "0.yml" in said


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_rule_on_what_is_not_archived_is_named(lab: Laboratory) -> None:
    (line,), _ = converted(lab, "lucene", ROOT | {"detection": {"a": {"source.asset.known": False}, "condition": "a"}})
    assert "source.asset.known" in line["refused"]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("source", "query"),
    [
        (
            {"product": "linux", "service": "sshd"},
            "(wardwatch.logsource.product:linux AND wardwatch.logsource.service:sshd) AND a:/[bB]/",
        ),
        ({"product": "windows"}, "wardwatch.logsource.product:windows AND winlog.event_data.a:/[bB]/"),
        (
            {"category": "registry_event"},
            "wardwatch.logsource.category:(registry_event OR registry_add OR registry_delete OR registry_rename"
            " OR registry_set)",
        ),
    ],
)
def test_a_query_asks_for_the_log_source(lab: Laboratory, source: dict[str, str], query: str) -> None:
    (line,), _ = converted(lab, "lucene", rule_document({"a": "b"}, logsource=source))
    assert query in line["queries"][0]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_esql_compares_keywords_with_texts_and_numbers_with_numbers(lab: Laboratory) -> None:
    detection = {"a": {"winlog.event_id": 1, "source.port": 22}, "condition": "a"}
    (line,), _ = converted(lab, "esql", ROOT | {"detection": detection})
    assert 'winlog.event_id=="1" and source.port==22' in line["queries"][0]
