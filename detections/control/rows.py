"""The rows by which people steer detection, validated where they come in (docs/reference/tables.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from detections.sigma import pipelines
from detections.sigma.documents import MAX_BYTES
from detections.sigma.pipelines import PipelineText
from detections.sigma.rule import RuleText
from wardwatch.errors import RuleError
from wardwatch.event import Document
from wardwatch.tables import RowId

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
_FILE_NAME = re.compile(r"\w[\w.-]{0,199}")


class Row(BaseModel):
    """What every row says: who wrote it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str = Field("", max_length=200)


class TextRow(Row):
    """A YAML text; its key is a file-like name or the id of its rule."""

    text: str = Field(min_length=1, max_length=MAX_BYTES)


class RuleRow(Row):
    """Sigma rules. A row speaks for its key and every id in its text: rules of files with these ids are not in force.

    With ``enabled`` false neither are its own, so that a row without text switches a rule off.
    """

    text: str = Field("", max_length=MAX_BYTES)
    enabled: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> RuleRow:
        if self.enabled and not self.text:
            raise ValueError("a row without text needs enabled: false")
        return self


class PlaceholderRow(Row):
    """The values that ``%key%`` stands for in rules."""

    values: tuple[str | int | float, ...] = Field(min_length=1, max_length=10_000)


class PipelineRow(Row):
    """A processing pipeline in pySigma's format; its key is a file-like name."""

    text: str = Field(min_length=1, max_length=MAX_BYTES)

    @model_validator(mode="after")
    def _is_a_pipeline(self) -> PipelineRow:
        try:
            pipelines.parse(PipelineText(Path("row"), self.text))
        except RuleError as error:
            raise ValueError(error.reason) from None
        return self


class MuteRow(Row):
    """The tenant's matches of the rule that is the row's key are dropped until it expires."""

    by: Words
    reason: Words
    expires: AwareDatetime


class SuppressionRow(Row):
    """New alerts of the rule, with these values of fields, are made as ``suppressed`` until it expires."""

    by: Words
    reason: Words
    expires: AwareDatetime
    rule: str = Field("", max_length=200)
    where: dict[str, Words] = Field(default={}, max_length=16)

    @model_validator(mode="after")
    def _has_scope(self) -> SuppressionRow:
        if not (self.rule or self.where):
            raise ValueError("a suppression needs a rule or a condition: it must not silence everything")
        return self


MODELS: dict[str, type[Row]] = {
    "rules": RuleRow,
    "filters": TextRow,
    "placeholders": PlaceholderRow,
    "pipelines": PipelineRow,
    "mutes": MuteRow,
    "suppressions": SuppressionRow,
}
"""Table → what its rows are."""

_FOR_ALL = frozenset({"filters", "placeholders", "pipelines"})


def parse(row: RowId, value: Document) -> Row:
    """Return the row; raises RuleError naming what is wrong with it."""
    table, tenant, key = row
    if tenant and table in _FOR_ALL:
        raise RuleError(f"{table} hold for every tenant", step="tables", record=key, remedy="leave out the tenant")
    if not _FILE_NAME.fullmatch(key):
        raise RuleError(f"{key[:80]!r} is no key: letters, digits, '.', '_' and '-'", step="tables", record=table)
    try:
        return MODELS[table].model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise RuleError(reason, step="tables", record=str(place(row))) from None


def place(row: RowId) -> Path:
    """Return where a row's text lies, for people: ``tables/rules/ssh.yml``, ``tables/rules/renai/ssh.yml``."""
    table, tenant, key = row
    return Path("tables", table, tenant, key)


def rule_text(row: RowId, value: TextRow | RuleRow) -> RuleText:
    """Return the row's text as that of a file."""
    return RuleText(place(row), value.text, row[1])
