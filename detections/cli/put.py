"""``wardwatch rules put``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detections.cli.controls import By, DryRun, Tenant, Wait, opened
from detections.control.rows import TextRow
from detections.sigma import RuleText, documents, loading
from wardwatch.errors import RuleError
from wardwatch.event import Document
from wardwatch.tables import RowId

_TABLES = {"filter": "filters", "transformations": "pipelines"}
"""What every document of a file has → the table that it is a row of; any other file is one of rules."""


def put(
    paths: Annotated[
        list[Path], typer.Argument(help="Files of rules, filters or a pipeline, or folders.", show_default=False)
    ],
    by: By,
    tenant: Tenant = "",
    dry_run: DryRun = False,
    wait: Wait = True,
) -> None:
    """Put rules, filters and processing pipelines in force while everything runs; each file is one row of its name.

    All files are checked first: when one is wrong, nothing is written. A rule with the id of a shipped one replaces it.

    \b
    wardwatch rules put my-rules/ssh.yml                    for every hospital
    wardwatch rules put my-rules/ --tenant renai            for one
    wardwatch rules put my-rules/ --dry-run                 only check them
    """
    changes: dict[RowId, Document | None] = {}
    for file in (file for path in paths for file in loading.files(path)):
        text = loading.read(file)
        if not isinstance(text, RuleText):
            raise RuleError(text.reason, step="rules put", record=f"{text.file}:{text.line}")
        row = (_table(text), tenant, file.name)
        if row in changes:
            raise RuleError("another file has this name", step="rules put", record=str(file), remedy="rename one")
        changes[row] = TextRow(text=text.text, by=by).model_dump()
    with opened() as controls:
        controls.change(changes, wait=wait, dry_run=dry_run)


def _table(text: RuleText) -> str:
    found = [each.value for each in documents.split(text.text, text.file)]
    for name, table in _TABLES.items():
        if found and all(isinstance(each, dict) and name in each for each in found):
            return table
    return "rules"
