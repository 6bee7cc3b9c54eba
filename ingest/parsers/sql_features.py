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

from ingest.parsers.sql_shape import Dialect, literal_free, shape_hash
from wardwatch.event import Document

MAX_SHAPE = 20_000  # characters that are parsed
_MAX_DEPTH = 40  # of parentheses: sqlglot's parser recurses, and tries some constructs twice on each level
_MAX_NAMES = 64  # of one kind in one event
_INTO_FILE = re.compile(
    r"\binto\s+(?:outfile|dumpfile)\s*\?(?:\s*(?:character set \w+|fields|columns|lines|"
    r"(?:(?:optionally )?(?:terminated|enclosed|escaped)|starting)\s+by\s*\?))*",
    re.I,
)
_COPY_TO = re.compile(r"\s*copy\b.{0,20000}?\bto\s+(?:program\s*)?\?", re.I | re.S)
_DUMP = re.compile(r"select sql_no_cache \* from ", re.I)
_VERB = re.compile(r"[\s(]*([a-z]{2,20})", re.I)
_VERBS = re.compile(
    "alter|analyze|audit|backup|begin|bulk|call|change|close|comment|commit|copy|create|deallocate|declare|delete|deny|"
    "describe|discard|do|drop|end|exec|execute|explain|fetch|flush|grant|handler|insert|install|kill|listen|load|lock|"
    "merge|noaudit|open|optimize|prepare|purge|reindex|rename|repair|replace|reset|restore|revoke|rollback|savepoint|"
    "select|set|show|start|stop|truncate|uninstall|unlock|update|use|vacuum|xa"
)
_SYNONYMS = {"with": "select", "table": "select", "values": "select", "desc": "describe", "exec": "execute"}

_TYPES = {
    **dict.fromkeys(("insert", "load", "replace", "create"), "creation"),
    **dict.fromkeys(("update", "merge", "alter", "rename", "set", "grant", "revoke", "deny"), "change"),
    **dict.fromkeys(("delete", "drop", "truncate"), "deletion"),
}
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

# its warnings about statements that it only half knows would be one line in our log for each of a hospital's
logging.getLogger("sqlglot").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one shape: names in lower case, without schema.

    ``verb`` is "" for what is not SQL; ``parsed`` is False where no more than the verb is known.
    """

    verb: str
    is_export: bool
    parsed: bool = False
    objects: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    has_group_by: bool = False
    objects_role: tuple[str, ...] = ()
    group_by_roles: tuple[str, ...] = ()


def describe(doc: Document, sql: str, dialect: Dialect = "mysql") -> None:
    """Set the event's fields of a statement: ``db.*`` of its shape, its action and type."""
    shape = literal_free(sql, dialect)
    found = features(shape, dialect)
    doc["event.action"] = f"db-{found.verb or 'statement'}"
    doc["event.type"] = [_TYPES.get(found.verb, "access")]
    if found.verb in ("grant", "revoke", "deny"):
        doc["event.category"] = ["database", "iam"]
    doc["db.sql_parsed"] = found.parsed
    doc["db.sql_shape_hash"] = shape_hash(shape)
    doc["db.statement"] = _leaving(shape, known=bool(found.verb), parsed=found.parsed)
    if found.is_export:
        doc["db.export"] = True
    if found.parsed:
        _features(doc, found)


def _leaving(shape: str, *, known: bool, parsed: bool) -> str:
    """Return what may leave of a statement: text that is not SQL may be a person's, so none of it."""
    if not known:
        return "?"
    return (shape if parsed else _NOT_ASCII.sub("?", shape))[:MAX_SHAPE]


def _features(doc: Document, found: Features) -> None:
    doc["db.has_group_by"] = found.has_group_by
    for name, values in (
        ("db.objects", found.objects),
        ("db.functions", found.functions),
        ("db.group_by_columns", found.group_by),
        ("db.objects_role", found.objects_role),
        ("db.group_by_roles", found.group_by_roles),
    ):
        if values:
            doc[name] = list(values)


@lru_cache(maxsize=4096)
def features(shape: str, dialect: Dialect = "mysql") -> Features:
    """Return the features of a literal-free statement; never fails."""
    verb = _verb(shape)
    is_export = bool(_INTO_FILE.search(shape) or _DUMP.match(shape) or _COPY_TO.match(shape))
    if len(shape) > MAX_SHAPE or _depth(shape) > _MAX_DEPTH:
        return Features(verb, is_export)
    try:
        trees = [tree for tree in sqlglot.parse(_INTO_FILE.sub(" ", shape), dialect=dialect) if tree]
    except (SqlglotError, RecursionError):
        return Features(verb, is_export)
    if any(isinstance(tree, exp.Command) for tree in trees):
        return Features(verb, is_export)
    objects = _names(name for tree in trees for name in _tables(tree))
    group_by = _names(name for tree in trees for name in _grouped(tree))
    return Features(
        verb,
        is_export,
        parsed=True,
        objects=objects,
        functions=_names(name for tree in trees for name in _functions(tree)),
        group_by=group_by,
        has_group_by=any(tree.find(exp.Group) for tree in trees),
        objects_role=roles("objects", objects),
        group_by_roles=roles("columns", group_by),
    )


def _verb(shape: str) -> str:
    found = _VERB.match(shape)
    verb = found[1].lower() if found else ""
    verb = _SYNONYMS.get(verb, verb)
    return verb if _VERBS.fullmatch(verb) else ""


def _depth(shape: str) -> int:
    depth = deepest = 0
    for mark in re.finditer(r"[()]|\bcase\b|\bend\b", shape, re.I):
        depth += 1 if mark[0].lower() in ("(", "case") else -1
        deepest = max(deepest, depth)
    return deepest


def _names(found: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted({name.lower() for name in found if name}))[:_MAX_NAMES]


def _tables(tree: exp.Expr) -> Iterator[str]:
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.db or table.name.lower() not in own:
            yield table.name


def _functions(tree: exp.Expr) -> Iterator[str]:
    for found in tree.find_all(exp.Func):
        if isinstance(found, exp.Anonymous):
            yield found.name
        elif not isinstance(found, exp.Connector | exp.Case | exp.Cast):
            yield found.sql_name()


def _grouped(tree: exp.Expr) -> Iterator[str]:
    """Yield the columns of every GROUP BY: by name, behind an alias, by place, or inside an expression."""
    aliases = {found.alias.lower(): found.this for found in tree.find_all(exp.Alias)}
    for group in tree.find_all(exp.Group):
        chosen = group.parent.expressions if isinstance(group.parent, exp.Select) else []
        for key in group.expressions:
            for column in (_at_place(key, chosen) or key).find_all(exp.Column):
                yield column.name
                yield from _behind(aliases.get(column.name.lower()))


def _behind(meant: exp.Expr | None) -> Iterator[str]:
    if meant is not None:
        yield from (column.name for column in meant.find_all(exp.Column))


def _at_place(key: exp.Expr, chosen: list[exp.Expr]) -> exp.Expr | None:
    if isinstance(key, exp.Literal) and key.is_int and 1 <= int(key.name) <= len(chosen):
        return chosen[int(key.name) - 1]
    return None


def roles(kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the roles of ``objects`` or ``columns`` in the catalogue of sensitive objects."""
    return tuple(role for role, pattern in _catalogue()[kind].items() if any(pattern.match(name) for name in names))


@lru_cache(maxsize=1)
def _catalogue() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    data = tomllib.loads(files("ingest").joinpath("sensitive_objects.toml").read_text(encoding="utf-8"))
    return {
        kind: {role: re.compile("|".join(map(translate, names)), re.I) for role, names in named.items()}
        for kind, named in data.items()
    }
