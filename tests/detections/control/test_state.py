"""Rows change what is in force; a change that is wrong or breaks others is refused and the old state stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from detections.control.state import State
from detections.sigma import Match, Rejected, loading
from detections.sigma.loading import Parsed
from detections.sigma.rule import RuleText
from detections.sigma.vocabulary import SHIPPED
from tests.detections.rules_under_test import event, rule_document
from wardwatch.event import Document, LogSource
from wardwatch.tables import RowId

ONE, TWO = str(UUID(int=1)), str(UUID(int=2))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN = {"by": "lin", "reason": "known scanner", "expires": "2026-03-02T00:00:00Z"}


def text(rule_id: str, value: str, **more: Any) -> str:
    return yaml.safe_dump(rule_document({"f": value}, id=rule_id, **more))


FILES = State.of([RuleText(Path("pack.yml"), text(ONE, "shipped") + "---\n" + text(TWO, "other"))])
APART = State.of([RuleText(Path("one.yml"), text(ONE, "shipped")), RuleText(Path("two.yml"), text(TWO, "other"))])


def rules(*rows: tuple[str, str, Document]) -> dict[RowId, Document]:
    return {("rules", tenant, key): value for tenant, key, value in rows}


def fired(state: State, value: str, tenant: str = "renai") -> list[str]:
    found = event({"f": value})
    found.tenant = tenant
    matches: list[Match] = state.ruleset.match(found)
    return [match.rule.id for match in matches if state.holds(match.rule, tenant)]


@pytest.mark.parametrize("files", [FILES, APART])
def test_a_row_with_the_id_of_a_shipped_rule_replaces_it_and_its_removal_brings_it_back(files: State) -> None:
    changed = files.change(rules(("", ONE, {"text": text(ONE, "mine")})))
    assert (fired(changed, "shipped"), fired(changed, "mine"), fired(changed, "other")) == ([], [ONE], [TWO])
    assert fired(changed.change({}), "shipped") == [ONE]


def test_a_tenants_row_holds_for_it_alone() -> None:
    changed = FILES.change(rules(("renai", ONE, {"text": text(ONE, "mine")})))
    assert (fired(changed, "shipped"), fired(changed, "mine")) == ([], [ONE])
    assert (fired(changed, "shipped", "zhongxin"), fired(changed, "mine", "zhongxin")) == ([ONE], [])


@pytest.mark.parametrize("row", [{"enabled": False}, {"enabled": False, "text": text(ONE, "mine")}])
def test_a_row_that_is_not_enabled_switches_a_rule_off(row: Document) -> None:
    everywhere, here = FILES.change(rules(("", ONE, row))), FILES.change(rules(("renai", ONE, row)))
    assert (fired(everywhere, "shipped"), fired(everywhere, "mine")) == ([], [])
    assert (fired(here, "shipped"), fired(here, "shipped", "zhongxin")) == ([], [ONE])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"text": "title: ["}, "not YAML"),
        ({"text": text(ONE, "x").replace("f:", "f|containz:")}, "containz"),
        ({"text": text(TWO, "x"), "owner": "me"}, "owner"),
        ({"text": 7}, "text"),
        ({}, "a row without text"),
        ({"text": "x" * 600_000}, "text"),
    ],
)
def test_a_bad_rule_is_refused_with_its_reason_and_the_last_good_one_stays(bad: Document, reason: str) -> None:
    good = FILES.change(rules(("", "a.yml", {"text": text(ONE, "mine")})))
    after = good.change(rules(("", "a.yml", bad), ("", "b.yml", {"text": text(str(UUID(int=3)), "new")})))
    assert (fired(after, "mine"), fired(after, "new")) == ([ONE], [str(UUID(int=3))])
    assert list(after.refused) == [("rules", "", "a.yml")]
    assert reason in after.refused["rules", "", "a.yml"]
    assert after.change(rules(("", "a.yml", {"text": text(ONE, "better")}))).refused == {}


def test_of_many_rows_only_the_bad_ones_are_refused() -> None:
    many = {f"r{n}.yml": {"text": text(str(UUID(int=100 + n)), f"v{n}") if n % 7 else "a: ["} for n in range(40)}
    after = FILES.change({("rules", "", key): value for key, value in many.items()})
    assert sorted(key for _, _, key in after.refused) == sorted(f"r{n}.yml" for n in range(0, 40, 7))
    assert len(after.ruleset.rules) == 2 + 40 - 6


def test_a_row_that_claims_the_id_of_another_row_is_refused() -> None:
    after = FILES.change(rules(("", "a.yml", {"text": text(ONE, "a")}), ("", "b.yml", {"text": text(ONE, "b")})))
    assert (fired(after, "a"), fired(after, "b")) == ([ONE], [])
    assert "is that of" in after.refused["rules", "", "b.yml"]


def test_a_filter_is_in_force_and_a_removal_of_the_rule_it_names_is_refused() -> None:
    own = {("rules", "", "a.yml"): {"text": text(str(UUID(int=3)), "new", name="new_rule")}}
    excluding = {
        "title": "no h1",
        "logsource": {"product": "test"},
        "filter": {"rules": ["new_rule"], "selection": {"host.name": "h1"}, "condition": "not selection"},
    }
    both = FILES.change({**own, ("filters", "", "f.yml"): {"text": yaml.safe_dump(excluding)}})
    assert both.refused == {}
    assert not both.ruleset.match(event({"f": "new", "host.name": "h1"}))
    assert both.ruleset.match(event({"f": "new", "host.name": "h2"}))
    after = both.change({("filters", "", "f.yml"): {"text": yaml.safe_dump(excluding)}})
    assert "it would break" in after.refused["rules", "", "a.yml"]
    assert after.ruleset.match(event({"f": "new", "host.name": "h2"}))


def test_a_placeholder_fills_rules_and_can_not_be_taken_from_them() -> None:
    row = {"text": text(ONE, "%bad_words%").replace("f:", "f|expand:")}
    assert "bad_words" in FILES.change(rules(("", ONE, row))).refused["rules", "", ONE]
    words: dict[RowId, Document] = {("placeholders", "", "bad_words"): {"values": ["evil", "wicked"]}}
    changed = FILES.change({**rules(("", ONE, row)), **words})
    assert (fired(changed, "wicked"), fired(changed, "good")) == ([ONE], [])
    after = changed.change(rules(("", ONE, row)))
    assert "it would break" in after.refused["placeholders", "", "bad_words"]
    assert fired(after, "wicked") == [ONE]
    assert fired(
        after.change({**rules(("", ONE, row)), ("placeholders", "", "bad_words"): {"values": ["good"]}}), "good"
    )


def pipeline(mapping: Mapping[str, Any], **more: Any) -> dict[RowId, Document]:
    steps = [{"type": "field_name_mapping", "mapping": dict(mapping), **more}]
    return {("pipelines", "", "own.yml"): {"text": yaml.safe_dump({"name": "own", "transformations": steps})}}


def test_a_pipeline_renames_the_fields_of_rules_and_its_removal_takes_that_back() -> None:
    changed = FILES.change(pipeline({"f": "user.name"}))
    assert changed.refused == {}
    assert changed.ruleset.match(event({"user.name": "shipped"}))
    assert fired(changed, "shipped") == []
    assert fired(changed.change({}), "shipped") == [ONE]


def test_a_pipeline_of_a_row_comes_before_those_of_files_with_its_priority() -> None:
    sysmon = LogSource("windows", "process_creation", "sysmon")
    rule = rule_document({"Image": "x"}, id=ONE, logsource={"product": "windows", "category": "process_creation"})
    files = State.of([RuleText(Path("one.yml"), yaml.safe_dump(rule))])
    assert files.ruleset.match(event({"process.executable": "x"}, sysmon))
    (priority,) = {yaml.safe_load(each.text)["priority"] for each in SHIPPED.pipelines.texts}
    row = pipeline({"Image": "user.name"})
    (document,) = row.values()
    document["text"] += f"priority: {priority}\n"
    assert files.change(row).ruleset.match(event({"user.name": "x"}, sysmon))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"text": "transformations: ["}, "not YAML"),
        ({"text": "name: x\ntransformations: [{type: field_name_maping}]"}, "field_name_maping"),
        ({"text": "name: x\ntransformations: [{type: command_placeholders, command: id}]"}, "has no place"),
        ({"text": "name: x\nfinalizers: []"}, "has no place"),
        ({}, "text"),
        ({"text": "name: x", "owner": "me"}, "owner"),
    ],
)
def test_a_bad_pipeline_is_refused_with_its_reason_and_the_last_good_one_stays(bad: Document, reason: str) -> None:
    good = FILES.change(pipeline({"f": "user.name"}))
    after = good.change({("pipelines", "", "own.yml"): bad})
    assert reason in after.refused["pipelines", "", "own.yml"]
    assert after.ruleset.match(event({"user.name": "shipped"}))


def test_a_pipeline_that_a_rule_does_not_survive_is_refused() -> None:
    failing = {"text": "name: x\ntransformations: [{type: rule_failure, message: not these}]"}
    after = FILES.change({("pipelines", "", "own.yml"): failing})
    assert "it would break" in after.refused["pipelines", "", "own.yml"]
    assert "not these" in after.refused["pipelines", "", "own.yml"]
    assert fired(after, "shipped") == [ONE]


def test_a_pipeline_of_one_tenant_is_refused_rather_than_in_force_for_all() -> None:
    (document,) = pipeline({"f": "g"}).values()
    after = FILES.change({("pipelines", "renai", "own.yml"): document})
    assert "every tenant" in after.refused["pipelines", "renai", "own.yml"]


THREE = str(UUID(int=3))
KNOWN = {
    "title": "known",
    "logsource": {"product": "test"},
    "filter": {"rules": [ONE], "selection": {"host.name": "h1"}, "condition": "not selection"},
}
CHANGES: list[dict[RowId, Document]] = [
    rules(("", ONE, {"text": text(ONE, "shipped", level="high")})),
    {("filters", "", "known.yml"): {"text": yaml.safe_dump(KNOWN)}},
    pipeline({"f": ["f", "g"]}, rule_conditions=[{"type": "contains_field", "field": "f"}]),
    {("placeholders", "", "words"): {"values": ["shipped", "more"]}},
]


@pytest.mark.parametrize("change", CHANGES, ids=["rule", "filter", "pipeline", "placeholder"])
def test_a_rules_version_follows_all_that_changes_what_it_means(change: dict[RowId, Document]) -> None:
    rule = text(ONE, "%words%").replace("f:", "f|expand:")
    words: dict[RowId, Document] = {("placeholders", "", "words"): {"values": ["shipped"]}}
    first = State.of([]).change({**rules(("", ONE, {"text": rule})), **words})
    after = first.change({**rules(("", ONE, {"text": rule})), **words, **change})
    assert after.refused == {}
    before, now = (state.ruleset.match(event({"f": "shipped"})) for state in (first, after))
    assert before[0].rule.version != now[0].rule.version


@pytest.mark.parametrize("change", CHANGES, ids=["rule", "filter", "pipeline", "placeholder"])
def test_a_change_compiles_no_rule_that_it_does_not_concern(
    change: dict[RowId, Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = rule_document({"h": "x"}, id=THREE, logsource={"product": "linux"})
    files = State.of([RuleText(Path("one.yml"), text(ONE, "shipped")), RuleText(Path("3"), yaml.safe_dump(elsewhere))])
    files = files.change(rules(("", TWO, {"text": text(TWO, "other")})))
    before = {rule.id: rule for rule in files.ruleset.rules}
    program = files.ruleset.program(LogSource("linux"))
    parsed: list[str] = []
    parse = loading.parse

    def seen(found: RuleText) -> Iterator[Parsed | Rejected]:
        parsed.append(found.file.name)
        return parse(found)

    monkeypatch.setattr(loading, "parse", seen)
    after = files.change({**rules(("", TWO, {"text": text(TWO, "other")})), **change})
    assert after.refused == {}
    assert not {"3", TWO} & set(parsed) or change is CHANGES[2]
    assert next(rule for rule in after.ruleset.rules if rule.id == THREE) is before[THREE]
    assert after.ruleset.program(LogSource("linux")) is program


def test_a_filter_that_stays_leaves_the_programs_as_they_are() -> None:
    known: dict[RowId, Document] = {("filters", "", "known.yml"): {"text": yaml.safe_dump(KNOWN)}}
    filtered = FILES.change(known)
    program = filtered.ruleset.program(LogSource("test"))
    elsewhere = yaml.safe_dump(rule_document({"h": "x"}, id=THREE, logsource={"product": "linux"}))
    after = filtered.change({**known, **rules(("", THREE, {"text": elsewhere}))})
    assert after.ruleset.program(LogSource("test")) is program


@pytest.mark.parametrize(("tenant", "muted_for"), [("renai", {"renai"}), ("", {"renai", "zhongxin"})])
def test_a_mute_holds_for_its_tenant_until_it_expires(tenant: str, muted_for: set[str]) -> None:
    state = FILES.change({("mutes", tenant, ONE): OWN})
    assert {each for each in ("renai", "zhongxin") if state.muted(ONE, each, NOON)} == muted_for
    assert not state.muted(TWO, "renai", NOON)
    assert not state.muted(ONE, "renai", datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize("without", ["by", "reason", "expires"])
def test_a_mute_needs_who_why_and_until_when(without: str) -> None:
    row = {name: value for name, value in OWN.items() if name != without}
    state = FILES.change({("mutes", "renai", ONE): row})
    assert without in state.refused["mutes", "renai", ONE]
    assert not state.muted(ONE, "renai", NOON)


def test_a_change_of_mutes_compiles_no_rule() -> None:
    assert FILES.change({("mutes", "renai", ONE): OWN}).ruleset is FILES.ruleset


@pytest.mark.parametrize("scope", [{}, {"where": {}}, {"where": {"a": ""}}, {"rule": ONE, "where": {"a": 1}}])
def test_a_suppression_must_not_silence_everything(scope: Mapping[str, Any]) -> None:
    state = FILES.change({("suppressions", "renai", "s1"): {**OWN, **scope}})
    assert list(state.refused) == [("suppressions", "renai", "s1")]


@pytest.mark.parametrize("key", ["../x", "a/b", "", "-x", "a b"])
def test_a_key_is_a_name_without_path(key: str) -> None:
    assert "is no key" in FILES.change(rules(("", key, {"enabled": False}))).refused["rules", "", key]


def test_lines_of_the_rules_that_stay_are_those_of_the_file() -> None:
    before = {rule.id: rule.line for rule in FILES.ruleset.rules}
    changed = FILES.change(rules(("", ONE, {"enabled": False})))
    assert {rule.id: rule.line for rule in changed.ruleset.rules} == {TWO: before[TWO]}


def test_a_filter_of_one_tenant_is_refused_rather_than_in_force_for_all() -> None:
    assert "every tenant" in FILES.change({("filters", "renai", "f"): {"text": "x"}}).refused["filters", "renai", "f"]
