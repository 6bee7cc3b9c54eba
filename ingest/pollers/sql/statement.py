"""The statement of a page: the site's query with conditions, order and limit around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingest.pollers.sql.databases import Database
from ingest.pollers.sql.rows import Values


def page_of(
    database: Database, query: str, columns: Sequence[str], low: Values, high: Values, most_rows: int
) -> tuple[str, dict[str, Any]]:
    """Return the statement that reads from one place to another, both included, and its values; () is no limit."""
    values: dict[str, Any] = {}
    conditions = [f"{column} IS NOT NULL" for column in columns]
    for name, sign, key in (("since", ">", low), ("until", "<", high)):
        marks = []
        for number, value in enumerate(key):
            mark, values[f"{name}{number}"] = database.mark(f"{name}{number}", value)
            marks.append(mark)
        conditions += _beside(columns, sign, marks)
    where, order = " AND ".join(conditions), ", ".join(columns)
    rest = f"({database.quoted(query)}\n) wardwatch WHERE {where} ORDER BY {order}"
    return database.first(rest, most_rows), values


def _beside(columns: Sequence[str], sign: str, marks: Sequence[str]) -> list[str]:
    """Return the conditions for rows on one side of a place; the first is one that an index can use."""
    if not marks:
        return []
    first = f"{columns[0]} {sign}= {marks[0]}"
    if len(marks) == 1:
        return [first]
    return [first, f"({columns[0]} {sign} {marks[0]} OR {columns[1]} {sign}= {marks[1]})"]
