"""What a statement does, from its literal-free shape: tables, functions, grouping, and their roles in a hospital."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from importlib.resources import files

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

MAX_SHAPE = 20_000  # characters that are parsed
_MAX_DEPTH = 40  # of parentheses: sqlglot's parser recurses, and tries some constructs twice on each level
_MAX_NAMES = 64  # of one kind in one event
_INTO_FILE = re.compile(
    r"\binto\s+(?:outfile|dumpfile)\s*\?(?:\s*(?:character set \w+|fields|columns|lines|"
    r"(?:(?:optionally )?(?:terminated|enclosed|escaped)|starting)\s+by\s*\?))*",
    re.I,
)
_DUMP = re.compile(r"select sql_no_cache \* from ", re.I)
_VERB = re.compile(r"[\s(]*([a-z]{2,20})", re.I)
_QUALIFIED_VERBS = {"with": "select", "table": "select", "values": "select", "desc": "describe"}

# its warnings about statements that it only half knows would be one line in our log for each of a hospital's
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one shape: names in lower case, without schema; ``parsed`` is False where only the verb is known."""

    verb: str
    is_export: bool
    parsed: bool = False
    objects: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    has_group_by: bool = False

    @property
    def objects_role(self) -> list[str]:
        """What the statement's tables hold (sensitive_objects.toml)."""
        return roles("objects", self.objects)

    @property
    def group_by_roles(self) -> list[str]:
        """What the statement groups by (sensitive_objects.toml)."""
        return roles("columns", self.group_by)


@lru_cache(maxsize=4096)
def features(shape: str) -> Features:
    """Return the features of a literal-free statement; never fails."""
    verb = _verb(shape)
    is_export = bool(_INTO_FILE.search(shape) or _DUMP.match(shape))
    if len(shape) > MAX_SHAPE or _depth(shape) > _MAX_DEPTH:
        return Features(verb, is_export)
    try:
        trees = [tree for tree in sqlglot.parse(_INTO_FILE.sub(" ", shape), dialect="mysql") if tree]
    except (SqlglotError, RecursionError):
        return Features(verb, is_export)
    if any(isinstance(tree, exp.Command) for tree in trees):
        return Features(verb, is_export)
    return Features(
        verb,
        is_export,
        parsed=True,
        objects=_names(name for tree in trees for name in _tables(tree)),
        functions=_names(name for tree in trees for name in _functions(tree)),
        group_by=_names(name for tree in trees for name in _grouped(tree)),
        has_group_by=any(tree.find(exp.Group) for tree in trees),
    )


def _verb(shape: str) -> str:
    found = _VERB.match(shape)
    verb = found[1].lower() if found else "statement"
    return _QUALIFIED_VERBS.get(verb, verb)


def _depth(shape: str) -> int:
    depth = deepest = 0
    for mark in re.finditer(r"[()]|\bcase\b|\bend\b", shape, re.I):
        depth += 1 if mark[0].lower() in ("(", "case") else -1
        deepest = max(deepest, depth)
    return deepest


def _names(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted({name.lower() for name in found if name}))[:_MAX_NAMES]


def _tables(tree: exp.Expression) -> Iterator[str]:
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.db or table.name.lower() not in own:
            yield table.name


def _functions(tree: exp.Expression) -> Iterator[str]:
    for found in tree.find_all(exp.Func):
        if isinstance(found, exp.Anonymous):
            yield found.name
        elif not isinstance(found, exp.Connector | exp.Case | exp.Cast):
            yield found.sql_name()


def _grouped(tree: exp.Expression) -> Iterator[str]:
    """Yield the columns of every GROUP BY: by name, behind an alias, by place, or inside an expression."""
    for group in tree.find_all(exp.Group):
        select = group.parent
        chosen = select.expressions if isinstance(select, exp.Select) else []
        aliases = {column.alias.lower(): column for column in chosen if column.alias}
        for key in group.expressions:
            meant = (
                _at_place(key, chosen) or aliases.get(key.name.lower() if isinstance(key, exp.Column) else "") or key
            )
            for column in meant.find_all(exp.Column):
                yield column.name


def _at_place(key: exp.Expression, chosen: list[exp.Expression]) -> exp.Expression | None:
    if isinstance(key, exp.Literal) and key.is_int and 1 <= int(key.name) <= len(chosen):
        return chosen[int(key.name) - 1]
    return None


def roles(kind: str, names: tuple[str, ...]) -> list[str]:
    """Return the roles of ``objects`` or ``columns`` in the catalogue of sensitive objects."""
    return [role for role, pattern in _catalogue()[kind].items() if any(pattern.match(name) for name in names)]


@lru_cache(maxsize=1)
def _catalogue() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    data = tomllib.loads(files("ingest").joinpath("sensitive_objects.toml").read_text(encoding="utf-8"))
    return {
        kind: {role: re.compile("|".join(map(translate, names)), re.I) for role, names in named.items()}
        for kind, named in data.items()
    }
