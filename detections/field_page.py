"""The page of fields for rule writers: of each source its fields, and the Sigma names that pipelines turn into them.

``make catalogue`` writes it; a test fails where it is not what the parsers and pipelines say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from detections.sigma import pipelines
from detections.sources import ENRICHED, Source, sources
from wardwatch.event import LogSource

_HEAD = """# Fields that rules can test

Of each source the log sources of its events (product / category / service), the names of Sigma's taxonomy that
the shipped pipelines turn into its fields, and all its fields with their types. A rule may use either name. A rule that
no source's events can meet is loaded and reported: `wardwatch rules list --no-data`.

This page is written by `make catalogue` from the parsers and from `detections/pipelines`. A field is listed
where its parser may set it; [the source's page](../reference/sources/README.md) has an example.

"""


def targets(source: LogSource) -> dict[str, tuple[str, ...]]:
    """Return the names that a shipped pipeline turns into others, for rules on exactly a log source."""
    found = pipelines.shipped()
    names = sorted({name for item in found.whole.items for name in getattr(item.transformation, "mapping", {})})
    renamed = {name: found.rename(source)(name) for name in names}
    return {name: to for name, to in renamed.items() if to != (name,) and not _only_prefixed(name, to)}


def page() -> str:
    """Return the page, in Markdown."""
    return _HEAD + "\n".join([*map(_section, sources()), _enriched()])


def _section(source: Source) -> str:
    told = "; ".join(" / ".join(part or "–" for part in _parts(one)) for one in source.logsources)
    parts = [f"## {source.title}\n", f"Log sources: {told}\n"]
    if names := sorted(_names(source)):
        parts.append("| Sigma | field |\n|---|---|\n" + "".join(f"| `{name}` | {to} |\n" for name, to in names))
    return "\n".join([*parts, _by_type(source.fields)])


def _names(source: Source) -> set[tuple[str, str]]:
    return {
        (name, ", ".join(f"`{field}`" for field in known))
        for one in source.logsources
        for name, to in targets(one).items()
        if (known := [field for field in to if source.knows(field)])
    }


def _by_type(fields: dict[str, str]) -> str:
    ordered = sorted((kind, name) for name, kind in fields.items())
    return "".join(
        f"- {kind}: " + ", ".join(f"`{name}`" for _, name in named) + "\n"
        for kind, named in groupby(ordered, lambda each: each[0])
    )


def _enriched() -> str:
    return "## Every source\n\nCollectors and enrichment add ([assets](../reference/assets.md)):\n\n" + _by_type(
        ENRICHED
    )


def _only_prefixed(name: str, to: tuple[str, ...]) -> bool:
    return all(each.endswith(f"_data.{name}") or each == f"auditd.data.{name}" for each in to)


def _parts(source: LogSource) -> Iterator[str]:
    yield from (source.product, source.category, source.service)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
