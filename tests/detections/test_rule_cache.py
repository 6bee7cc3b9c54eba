"""The cache of compiled rules: the same rules as without it, from data that is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from detections.sigma import Ruleset, RuleText
from detections.sigma.cache import RuleCache
from tests.detections.rules_under_test import TEST, event, rule_document

FILTER = yaml.safe_dump(
    {
        "title": "Known",
        "logsource": {"product": "test"},
        "filter": {"rules": "any", "selection": {"user": "scanner"}, "condition": "not selection"},
    }
)


def texts(*values: object, tenant: str = "") -> list[RuleText]:
    rules = (rule_document({"f": value}, id=f"6f1c1f0a-6f5e-4b0e-9d5c-{n:012d}") for n, value in enumerate(values))
    return [RuleText(Path(f"rule{n}"), yaml.safe_dump(rule), tenant) for n, rule in enumerate(rules)]


def cache_file(folder: Path) -> Path:
    Ruleset.of(texts(1, "x*y"), cache=RuleCache(folder))
    return folder / "rules.msgpack"


def test_the_shipped_rules_are_the_same_from_the_cache(tmp_path: Path) -> None:
    from detections.sigma import PACK

    cold, warm = (Ruleset.load([PACK], cache=RuleCache(tmp_path / "cache")) for _ in range(2))
    assert cold.rules == warm.rules
    assert len(warm.rules) > 10


def test_rules_from_the_cache_match_and_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_file(tmp_path / "cache")
    monkeypatch.setattr("detections.sigma.loading.parse", lambda text: pytest.fail(f"{text.file} is parsed"))
    ruleset = Ruleset.of(texts(1, "x*y"), cache=RuleCache(tmp_path / "cache"))
    assert [match.rule.file.name for match in ruleset.match(event({"f": "xaby"}))] == ["rule1"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\x00"),
        lambda file: file.write_bytes(b"\x80" * 5000),
        lambda file: file.chmod(0o644),
        lambda file: file.parent.chmod(0o755),
        lambda file: (file.rename(file.with_suffix(".real")), file.symlink_to(file.with_suffix(".real"))),
    ],
    ids=["empty", "cut", "changed", "foreign", "readable by others", "folder of others", "a link"],
)
def test_a_cache_that_is_not_whole_and_private_is_not_believed(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    file = cache_file(tmp_path / "cache")
    assert RuleCache(tmp_path / "cache").get(texts(1)[0]) is not None
    spoil(file)
    cache = RuleCache(tmp_path / "cache")
    assert cache.get(texts(1)[0]) is None
    assert len(Ruleset.of(texts(1, 2), cache=cache).rules) == 2


def test_the_cache_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = cache_file(tmp_path / "cache")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_filter_that_comes_or_goes_is_in_force_on_rules_that_are_cached(tmp_path: Path) -> None:
    cache = RuleCache(tmp_path / "cache")
    known = RuleText(Path("known"), FILTER)
    for filters, expected in (([], 1), ([known], 0), ([], 1)):
        ruleset = Ruleset.of([*texts(1), *filters], cache=cache)
        assert ruleset.rejected == []
        assert len(ruleset.match(event({"f": 1, "user": "scanner"}))) == expected


def test_the_tenant_of_a_text_is_part_of_what_is_cached() -> None:
    cache = RuleCache()
    for tenant in ("a", "b"):
        assert [rule.tenant for rule in Ruleset.of(texts(1, tenant=tenant), cache=cache).rules] == [tenant]


def test_a_program_whose_rules_have_not_changed_is_taken_over() -> None:
    cache = RuleCache()
    before = Ruleset.of(texts(1, 2), cache=cache)
    program = before.program(TEST)
    same = Ruleset.of(texts(1, 2), cache=cache, previous=before)
    assert same.program(TEST) is program
    changed = Ruleset.of(texts(1, 3), cache=cache, previous=same)
    assert changed.rules[0] is before.rules[0]
    assert changed.match(event({"f": 3}))
    assert not changed.match(event({"f": 2}))
