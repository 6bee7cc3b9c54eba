"""``wardwatch rules coverage``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.detections.cli.laboratory import ROOT, Laboratory, alerts_of, correlation, invoke
from wardwatch.event import rfc3339

RULES: list[tuple[str, dict[str, str], list[str]]] = [
    (ROOT["id"], {"product": "linux", "service": "sshd"}, ["attack.t1021.004", "attack.initial-access"]),
    ("0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b97", {"product": "linux"}, ["attack.t1078", "attack.t1078"]),
    ("0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b98", {"product": "windows"}, ["attack.t1078", "attack.t1485"]),
    ("0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", {"product": "linux", "service": "sudo"}, ["car.2013-04-002"]),
]


def test_each_technique_says_whether_a_rule_is_on_has_data_and_has_fired(lab: Laboratory, tmp_path: Path) -> None:
    for number, (identifier, source, tags) in enumerate(RULES):
        lab.rule(ROOT | {"id": identifier, "logsource": source, "tags": tags}, f"{number}.yml")
    lab.archive([{"@timestamp": rfc3339(datetime.now(UTC)), "user.name": "root"}])
    alerts_of(lab, ROOT["id"], ("", ""))
    file = tmp_path / "layer.json"
    result = invoke("coverage", lab.folder, "--tenant", lab.tenant, "--layer", file)
    assert result.exit_code == 0, result.output
    assert "3 techniques: 1 fired, 1 have data, 1 have no data" in result.stdout
    made: dict[str, Any] = orjson.loads(file.read_bytes())
    # required by the layer format 4.5
    assert (made["domain"], made["versions"]["layer"], bool(made["name"])) == ("enterprise-attack", "4.5", True)
    techniques = {each["techniqueID"]: each for each in made["techniques"]}
    assert {name: each["score"] for name, each in techniques.items()} == {"T1021.004": 3, "T1078": 2, "T1485": 1}
    assert techniques["T1078"]["comment"].startswith("2 rules on, 1 with data, 0 alerts")
    colours = {item["color"] for item in made["legendItems"]}
    assert {each["color"] for each in made["techniques"]} == colours


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("product", "score"), [("linux", 2), ("windows", 1)])
def test_a_correlation_has_data_when_the_rules_it_refers_to_have(lab: Laboratory, product: str, score: int) -> None:
    lab.rule(ROOT | {"logsource": {"product": product}, "tags": []})
    lab.rule(correlation(ROOT["id"], "Many") | {"tags": ["attack.t1110"]}, "many.yml")
    lab.archive([{"@timestamp": rfc3339(datetime.now(UTC))}])
    made = orjson.loads(invoke("coverage", lab.folder, "--json").stdout)
    assert [(each["techniqueID"], each["score"]) for each in made["techniques"]] == [("T1110", score)]
