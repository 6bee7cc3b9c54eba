"""Rule files as YAML documents: read with limits, because a rule file may come from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wardwatch.errors import RuleError

MAX_BYTES = 512 * 1024
MAX_DEPTH = 64  # the C loader recurses: 25,000 brackets would end the process


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a file and the line (from 1) on which it starts; ``shared`` is text it takes over from others."""

    value: Any
    line: int
    text: str
    shared: str = ""

    @property
    def whole(self) -> str:
        """The document with what it takes over, as YAML."""
        return yaml.safe_dump(self.value, allow_unicode=True, sort_keys=False) if self.shared else self.text

    def line_of(self, *needles: str) -> int:
        """Return the line of the first needle found in the document, else the document's first line."""
        for needle in needles:
            for number, line in enumerate(self.text.split("\n"), self.line):
                if needle and needle in line:
                    return number
        return self.line


def read(path: Path) -> list[YamlDocument]:
    """Return the documents of a file; raises RuleError naming the line (limits as in ``text`` and ``split``)."""
    return split(text(path), path)


def split(text: str, path: Path) -> list[YamlDocument]:
    """Return the documents in the text of a file; raises RuleError naming the line.

    Nesting deeper than MAX_DEPTH and aliases (which grow without bound) are refused.
    """
    try:
        starts = _starts(text, path)
        values = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        raise _refused(path, line, f"not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _refused(path, 1, f"not YAML: {error}") from None
    ends = [index for _, index in starts[1:]] + [len(text)]
    return [
        YamlDocument(value, line, text[index:end])
        for value, (line, index), end in zip(values, starts, ends, strict=False)
        if value is not None
    ]


def text(path: Path) -> str:
    """Return the text of a file of at most MAX_BYTES in UTF-8; raises RuleError naming the line."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(path, 1, f"can't be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise _refused(path, 1, f"more than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path, data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None


def _starts(text: str, path: Path) -> list[tuple[int, int]]:
    depth, starts = 0, []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if type(event) is yaml.ScalarEvent:  # most are
            continue
        line, index = (event.start_mark.line + 1, event.start_mark.index) if event.start_mark else (1, 0)
        if isinstance(event, yaml.DocumentStartEvent):
            starts.append((line, index))
        elif isinstance(event, yaml.AliasEvent):
            raise _refused(path, line, "aliases are not read")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(path, line, f"nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return starts


def _refused(path: Path, line: int, reason: str) -> RuleError:
    return RuleError(reason, step="rules", record=f"{path}:{line}")
