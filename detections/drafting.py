"""A new rule and its tests, written from an event of the pack so that both pass ``check`` and ``test`` as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from detections.sigma import PACK

EXAMPLES: Mapping[str, str] = {
    "hl7v2": "hl7_patient_merge",
    "dicom_audit": "dicom_study_deleted",
    "mysql_audit": "mysql_export",
    "windows": "windows_audit_log_cleared",
    "linux": "linux_ssh_root_login",
    "huawei_usg": "firewall_medical_device_to_internet",
}
"""Source → the rule of the pack whose event is the example."""

_TACTICS = {"hl7v2": "impact", "dicom_audit": "impact", "mysql_audit": "collection"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the person says of the rule; ``field`` and ``value`` are its one test."""

    title: str
    title_zh: str
    source: str
    field: str
    value: str
    level: str
    author: str


def example(source: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the log source of a source's events, and one of them."""
    beside = PACK / "hospital" / source / f"{EXAMPLES[source]}.test.yml"
    tests = yaml.safe_load(beside.read_text("utf-8"))
    return tests["logsource"], tests["match"][0]


def draft(answers: Answers, today: date) -> tuple[str, str]:
    """Return the YAML of the rule and of the tests beside it."""
    logsource, event = example(answers.source)
    value = _scalar(answers.value)
    group = next((name for name in ("host.name", "source.ip", "user.name") if name in event), "event.dataset")
    rule = {
        "title": answers.title,
        "id": str(uuid4()),
        "status": "experimental",
        "description": f"Events whose {answers.field} is {answers.value}. Say what it means and why it matters.",
        "author": answers.author,
        "date": today,
        "tags": [f"attack.{_TACTICS.get(answers.source, 'execution')}"],
        "logsource": {name: each for name, each in logsource.items() if each},
        "detection": {"selection": {answers.field: value}, "condition": "selection"},
        "falsepositives": ["Name what is allowed to do this"],
        "level": answers.level,
        "wardwatch": {
            "group_by": [group],
            "title": {"zh": answers.title_zh},
            "reason": {"en": f"{{{group}}}: {answers.title}", "zh": f"{{{group}}}：{answers.title_zh}"},
            "response": {"en": "Say what to do first.", "zh": "请写明首先应采取的措施。"},
        },
    }
    other = {name: each for name, each in event.items() if name != answers.field}
    tests = {"logsource": logsource, "match": [{**event, answers.field: value}], "no_match": [deepcopy(other)]}
    return _yaml(rule), _yaml(tests)


def write(folder: Path, name: str, rule: str, tests: str) -> tuple[Path, Path]:
    """Write both files; raises FileExistsError rather than replace one."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}.yml", folder / f"{name}.test.yml"
    for file, text in zip(files, (rule, tests), strict=True):
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    return files


def _scalar(written: str) -> str | int | bool:
    """Return the number or truth value that YAML reads in a text, else the text."""
    found = yaml.safe_load(written) if re.fullmatch(r"true|false|0|[1-9][0-9]{0,17}", written) else written
    assert isinstance(found, str | int)  # noqa: S101 the pattern says so
    return found


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)
