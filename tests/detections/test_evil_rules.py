"""Rule files made to hurt: refused in bounded memory and time, in a process of their own, and the good rule stays."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.detections.rules_under_test import rule_document

MEMORY = 1024 * 1024 * 1024
CPU_S = 60
PROGRAM = """
import sys
from pathlib import Path
from detections.sigma import Ruleset
found = Ruleset.load([Path(sys.argv[1])])
print(len(found.rules), len(found.rejected))
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
    "regex": detection(a={"f|re": "(a{1000}){1000}"}, condition="a"),
    "backtracking": detection(a={"f|re": r"(a)\1"}, condition="a"),
    "collection": "action: global\ndescription: " + "x" * 200_000 + "\n" + "---\ntitle: a\n" * 2000,
}


@pytest.mark.parametrize("name", EVIL)
def test_a_file_made_to_hurt_is_refused_and_the_good_rule_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil.yml").write_text(EVIL[name])
    assert loaded(tmp_path) == (1, 1)


def test_bytes_size_and_links_that_are_no_rules_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.yml").write_bytes(bytes(range(256)))
    with (tmp_path / "large.yml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert loaded(tmp_path) == (1, 3)


def loaded(folder: Path) -> tuple[int, int]:
    """Load a folder with a good rule in it; return how many rules were loaded and rejected."""
    (folder / "good.yml").write_text(yaml.safe_dump(rule_document({"f": 1})))
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=limit)
    rules, rejected = done.stdout.split()
    return int(rules), int(rejected)
