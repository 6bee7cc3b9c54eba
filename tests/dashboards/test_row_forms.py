"""Forms of rows against the models that check them, and pydantic's own reading of what they make."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.i18n import LANGUAGES, catalogue
from dashboards.row_forms import MODELS, inputs, model_of, read
from dashboards.service import TABLES
from enrich.notify.channels import KINDS
from wardwatch import service_levels
from wardwatch.table_rows import CHECKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboards.row_forms import Input

ZONE = ZoneInfo("Asia/Shanghai")
LEVELS: dict[str, Any] = {
    "acknowledge": {"critical": 15, "high": 30, "medium": 120, "low": 480},
    "decide": {"critical": 60, "high": 120, "medium": 480, "low": 1440},
}
ROWS: list[tuple[Any, dict[str, Any]]] = [
    ("service_levels", LEVELS),
    ("service_levels", {**LEVELS, "calendar": {"weekdays": [1, 2, 3], "opens": "08:30", "workdays": ["2026-10-10"]}}),
    ("service_levels", {**LEVELS, "around_the_clock": ["high", "critical"]}),
    ("channels", {"kind": "webhook", "url": "file:a", "secret": "file:b", "format": "ocsf", "enabled": False}),
    ("channels", {"kind": "email", "host": "mail.example.org", "sender": "a@example.org", "to": ["b@example.org"]}),
    ("channels", {"kind": "dingtalk", "url": "https://oapi.example/robot", "per_minute": 5, "lang": "en"}),
    ("routes", {"to": ["channel:soc", "on_call"], "events": ["new", "rule_fault"], "severity": "high"}),
    ("escalations", {"steps": [{"to": ["on_call"]}, {"after_minutes": 15, "to": ["person:wang", "channel:soc"]}]}),
    ("on_call", {"person": "lin", "starts": "2026-11-24T18:00:00+08:00", "ends": "2026-11-25T08:00:00+08:00"}),
    ("contacts", {"channel": "soc", "address": "13800000000"}),
]


def sent(asked: Sequence[Input]) -> dict[str, list[str]]:
    """Return what a browser sends of a form that nobody changed."""
    form: dict[str, list[str]] = {}
    for one in asked:
        if one.widget in ("choices", "flag"):
            form |= {one.name: list(one.values)} if one.values else {}
        else:
            form[one.name] = [one.text.replace("\n", "\r\n")]
    return form


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_form_that_nobody_changed_is_the_row_that_it_was_made_of(table: Any, row: dict[str, Any]) -> None:
    model = model_of(table, row.get("kind", ""))
    kind = {"kind": row["kind"]} if "kind" in row else {}
    assert kind | read(model, sent(inputs(model, row, ZONE)), ZONE) == row
    model.model_validate(row)


def test_the_default_service_levels_as_a_form_are_the_default() -> None:
    model = model_of("service_levels", "")
    begun = service_levels.DEFAULT.model_dump(mode="json")
    row = read(model, sent(inputs(model, begun, ZONE)), ZONE)
    assert row == LEVELS
    assert model.model_validate(row) == service_levels.DEFAULT


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_field_choice_and_group_has_words(lang: str) -> None:
    words = catalogue(lang)
    assert {*MODELS, "channels"} == set(TABLES) == set(CHECKS)
    models = [*MODELS.values(), *(kind.Row for kind in KINDS.values())]
    asked = [one for model in models for one in inputs(model, {}, ZONE)]
    keys = {f"row.{part}" for one in asked for part in one.name.split(".") if not part.isdigit()}
    keys |= {f"{one.words}.{each}" for one in asked for each in one.choices}
    keys |= {f"choice_kind.{kind}" for kind in KINDS}
    assert keys - words.keys() == set()


def test_what_is_no_number_or_moment_is_left_for_the_check_to_refuse() -> None:
    shift = read(model_of("on_call", ""), {"person": ["lin"], "starts": ["at noon"]}, UTC)
    assert shift == {"person": "lin", "starts": "at noon"}
    assert read(model_of("channels", "email"), {"port": ["²"], "enabled": ["on"]}, UTC) == {"port": "²"}


def test_a_field_is_named_by_a_reason_about_it_or_a_part_of_it() -> None:
    asked = {one.name: one for one in inputs(model_of("routes", ""), {}, ZONE)}
    assert asked["to"].is_named_by("to.0: String should match pattern")
    assert not asked["to"].is_named_by("tone: no")
    assert not asked["severity"].is_named_by("to: Field required")
