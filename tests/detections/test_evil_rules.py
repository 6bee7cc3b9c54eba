"""Rule files made to hurt: refused in bounded memory and time, in a process of their own, and the good rule stays."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.detections.rules_under_test import rule_document

MEMORY = 1024 * 1024 * 1024
CPU_S = 60
ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from detections.sigma import Ruleset
from tests.detections.rules_under_test import event
found = Ruleset.load([Path(sys.argv[1])])
met = found.match(event({"f": 1, "g": "a" * 5000}))
print(len(found.rules), len(found.correlations), len(found.rejected), len(met))
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def detection(**parts: object) -> str:
    return yaml.safe_dump({**rule_document(parts), "id": "0b1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b22"})


EVIL = {
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "brackets": "[" * 200_000,
    "mappings": "".join(" " * depth + "a:\n" for depth in range(700)),
    "dashes": detection(a={"f|windash": " -a" * 14}, condition="a"),
    "values": detection(a={"f": ["x"] * 60_000}, condition="a"),
    "tests": detection(a={"f": ["x"] * 1000}, condition=" or ".join(["a"] * 500)),
    "conditions": detection(a={"f": 1}, condition=["a"] * 20_000),
    "parentheses": detection(a={"f": 1}, condition="(" * 2000 + "a" + ")" * 2000),
    "nots": detection(a={"f": 1}, condition="not " * 1000 + "a"),
    "selections": detection(**{f"s{n}": {"f": n} for n in range(15_000)}, condition="1 of them and all of s*"),
    "long text": detection(a={"f|contains": "x" * 20_000}, condition="a"),
    "long keyword": detection(a=["x" * 20_000], condition="a"),
    "stars": detection(a={"f": "*" + "a*" * 1960}, condition="a"),
    "many stars": detection(a={"f": [f"a{n}*b{n}*c{n}*d" for n in range(15_000)]}, condition="a"),
    "long number": "f: " + "1" * 5000 + "\n",
    "object": detection(a={"f": 1}, condition="a") + "x: !!python/object/apply:os.system [true]\n",
    "merged": "a: &a {b: 1}\n<<: *a\n",
    "name": detection(**{"(" * 500: {"f": 1}}, condition="1 of (*"),
    "regex": detection(a={"f|re": "(a{1000}){1000}"}, condition="a"),
    "backtracking": detection(a={"f|re": r"(a)\1"}, condition="a"),
    "collection": "action: global\ndescription: " + "x" * 200_000 + "\n" + "---\ntitle: a\n" * 2000,
}


@pytest.mark.parametrize("name", EVIL)
def test_a_file_made_to_hurt_is_refused_and_the_good_rule_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil.yml").write_text(EVIL[name])
    assert loaded(tmp_path) == Loaded(rules=1, correlations=0, rejected=1, met=1)


COSTLY = {
    "texts": detection(a={"g|contains": ["x" * 3900, *(f"{n:0100}" for n in range(3000))]}, condition="a"),
    "stars": detection(a={"g": "*" + "a*" * 1940}, condition="a"),
    "question marks": detection(a={"g": "a" + "?" * 3800}, condition="a"),
    "regexes": detection(a={"g|re": [f"(x{n}a{{0,100}}){{0,8}}b" for n in range(300)]}, condition="a"),
    "regex": detection(a={"g|re": "^(a+)+(a*)*b$"}, condition="a"),
    "networks": detection(a={"g|cidr": [f"10.{n % 256}.{n // 256}.0/24" for n in range(15_000)]}, condition="a"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_is_costly_within_the_limits_is_compiled_and_asked(tmp_path: Path, name: str) -> None:
    (tmp_path / "costly.yml").write_text(COSTLY[name])
    found = loaded(tmp_path)
    assert (found.rules, found.rejected) == (2, 0)
    assert found.met >= 1


def above(number: int, *references: int, **own: object) -> dict[str, object]:
    """Return a correlation that refers to the good rule, or to others by their numbers."""
    rules = [f"c{reference}" for reference in references] or ["good"]
    body = {"type": "event_count", "rules": rules, "group-by": ["h"], "timespan": "1m", "condition": {"gte": 2}}
    identity = f"00000000-0000-4000-8000-{number:012}"
    return {"title": "c", "name": f"c{number}", "id": identity, "correlation": {**body, **own}}


def layer_below(layer: int) -> range:
    """Return the numbers of the correlations in the layer below one of twenty."""
    return range(20 * layer - 20, 20 * layer) if layer else range(0)


EVIL_CORRELATIONS = {
    "circle of itself": ([above(1, 1)], 0),
    "circle": ([above(number, (number + 1) % 1500) for number in range(1500)], 0),
    "chain": ([above(0), *(above(number, number - 1) for number in range(1, 1500))], 8),
    "lattice": ([above(20 * layer + n, *layer_below(layer)) for layer in range(8) for n in range(20)], 0),
    "crowd": ([above(0), *(above(number, 0) for number in range(1, 1000))], 0),
    "nots": ([above(1, type="temporal", condition="not " * 900 + "good")], 0),
    "parentheses": ([above(1, type="temporal", condition="(" * 3000 + "good" + ")" * 3000)], 0),
    "group": ([above(1, **{"group-by": [f"g{number}" for number in range(9000)]})], 0),
    "values": ([above(1, type="value_count", condition={"gte": 2, "field": [f"v{n}" for n in range(9000)]})], 0),
    "rules": ([above(1, *range(2, 5000))], 0),
    "number": ([above(1, condition={"gte": 10**400})], 0),
    "timespan": ([above(1, timespan="9" * 4000 + "d")], 0),
}


@pytest.mark.parametrize("name", EVIL_CORRELATIONS)
def test_correlations_made_to_hurt_are_refused_and_the_good_rule_stays(tmp_path: Path, name: str) -> None:
    documents, kept = EVIL_CORRELATIONS[name]
    for number, part in enumerate(batched(documents, 500)):
        (tmp_path / f"evil{number}.yml").write_text(yaml.safe_dump_all(part, sort_keys=False))
    assert loaded(tmp_path) == Loaded(rules=1, correlations=kept, rejected=len(documents) - kept, met=1)


def batched(documents: list[dict[str, object]], size: int) -> list[list[dict[str, object]]]:
    return [documents[start : start + size] for start in range(0, len(documents), size)]


def test_bytes_size_and_links_that_are_no_rules_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yml").write_bytes(bytes(range(256)))
    with (tmp_path / "large.yml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert loaded(tmp_path) == Loaded(rules=1, correlations=0, rejected=3, met=1)


class Loaded(NamedTuple):
    """How many rules and correlations of a folder were loaded and rejected; how many rules an event met."""

    rules: int
    correlations: int
    rejected: int
    met: int


def loaded(folder: Path) -> Loaded:
    """Load a folder with a good rule in it, and match an event, within limits of memory and time."""
    (folder / "good.yml").write_text(yaml.safe_dump(rule_document({"f": 1}, name="good")))
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=limit, cwd=ROOT)
    return Loaded(*map(int, done.stdout.split()))
