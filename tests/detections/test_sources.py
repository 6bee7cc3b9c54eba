"""Rules that no parser's events can meet are told; the data and the page that say so are what the parsers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from detections import field_page, logsource, sources
from detections.sigma import Ruleset, pipelines
from detections.sources import ENRICHED
from enrich.lookups.assets import SIDES
from enrich.lookups.inventory import Asset
from ingest import catalogue
from ingest.parsers import PARSERS, parser
from ingest.parsers.windows_events import KINDS
from tests.detections.rules_under_test import load, rule_document
from wardwatch.channels import SERVICES

DOCS = Path(__file__).parents[2] / "docs"
SYSMON = {"product": "windows", "category": "process_creation"}
NGINX = {"product": "nginx", "category": "webserver"}


def test_the_data_is_what_the_parsers_say() -> None:
    assert sources.FILE.read_bytes() == catalogue.entries(), "run make catalogue"


def test_the_page_of_fields_is_what_the_parsers_and_pipelines_say() -> None:
    assert (DOCS / "rules" / "fields.md").read_text("utf-8") == field_page.page(), "run make catalogue"


@pytest.mark.parametrize("name", PARSERS)
def test_every_field_and_log_source_of_a_sample_is_known(name: str) -> None:
    (known,) = (each for each in sources.sources() if each.name == name)
    for one in catalogue.events(parser(name), parser(name).sample()):
        assert one.logsource in known.logsources
        assert [field for field in one.doc if not known.knows(field)] == []


def test_the_fields_of_assets_are_those_that_enrichment_adds() -> None:
    asset = Asset.model_validate(
        {"id": "a", "name": "n", "class": "c", "criticality": "office", "department": "d", "owner": "o"}
    )
    added = {f"{side}.asset.{fact}" for side in SIDES for fact in asset.facts}
    assert {name for name in ENRICHED if ".asset." in name} == added


def test_windows_categories_are_those_that_the_parser_gives() -> None:
    assert {key: kind.sigma for key, kind in KINDS.items() if kind.sigma} == logsource._CATEGORIES


@pytest.mark.parametrize(
    ("detection", "source", "reason"),
    [
        ({"Image": "x"}, SYSMON, ""),
        ({"Image": "x"}, {"product": "macos", "category": "process_creation"}, "log source macos/process_creation/"),
        ({"cs-method": "GET"}, NGINX, ""),
        ({"cs-method": "GET", "cs-cookie": "x"}, NGINX, "http.request.headers.cookie"),
        ([{"cs-method": "GET"}, {"cs-cookie": "x"}], NGINX, ""),
        ({"cs-cookie": None}, NGINX, ""),
        ({"cs-cookie|exists": False}, NGINX, ""),
        ({"cs-cookie|exists": True}, NGINX, "http.request.headers.cookie"),
        ({"cs-method|fieldref": "cs-cookie"}, NGINX, "http.request.headers.cookie"),
        (["word"], NGINX, ""),
        ({"WhateverItIs": "x"}, {"product": "windows", "service": "openssh"}, ""),
        ({"source.asset.class": "pacs", "hospital.off_hours": True}, NGINX, ""),
    ],
)
def test_a_rule_says_why_no_event_can_meet_it(
    detection: object, source: dict[str, str], reason: str, tmp_path: Path
) -> None:
    (rule,) = load(tmp_path, rule_document({"selection": detection, "condition": "selection"}, logsource=source)).rules
    assert reason in rule.no_data
    assert bool(rule.no_data) is bool(reason)


def test_what_is_unknown_and_excluded_leaves_a_rule_its_data(tmp_path: Path) -> None:
    detection = {"a": {"cs-method": "GET"}, "b": {"cs-cookie": "x"}, "condition": "a and not b"}
    assert load(tmp_path, rule_document(detection, logsource=NGINX)).no_data == []


def test_every_shipped_rule_has_data() -> None:
    assert [(rule.file.name, rule.no_data) for rule in Ruleset.load([Path("detections/rules")]).no_data] == []


def test_every_windows_service_that_sigmahq_names_has_a_channel(sigmahq: Ruleset) -> None:
    named = {rule.logsource.service for rule in sigmahq.rules if rule.logsource.product == "windows"}
    assert named - {"", *SERVICES.values()} == set()


EXCEPTIONS = {
    ("web", "http.request.headers.cookie"),  # cookies hold sessions and are never copied; such rules have no data
}
"""Steps whose field no parser sets and the schema file does not have."""


def test_a_pipelines_fields_are_those_of_a_source_or_of_the_schema() -> None:
    known = {field for source in sources.sources() for field in source.fields} | set(catalogue.schema())
    wrong = {
        (item.identifier, field)
        for item in pipelines.shipped().whole.items
        for fields in getattr(item.transformation, "mapping", {}).values()
        for field in ([fields] if isinstance(fields, str) else fields)
        if field not in known and not field.startswith(("winlog.event_data.", "winlog.user_data."))
    }
    assert wrong == EXCEPTIONS
