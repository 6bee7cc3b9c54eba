"""JUnit reports, as CI servers read them (the ``testsuite`` element of Ant's JUnit task)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from wardwatch.text import safe_text


@dataclass(frozen=True, slots=True)
class Case:
    """One test: where it belongs, its name, and why it failed ("" when it passed)."""

    group: str
    name: str
    failure: str = ""


def report(suite: str, cases: Sequence[Case]) -> bytes:
    """Return the report of a suite as XML in UTF-8."""
    failures = sum(bool(case.failure) for case in cases)
    root = ElementTree.Element("testsuite", name=suite, tests=str(len(cases)), failures=str(failures), errors="0")
    for case in cases:
        named = {"classname": safe_text(case.group), "name": safe_text(case.name)}
        element = ElementTree.SubElement(root, "testcase", named)
        if case.failure:
            ElementTree.SubElement(element, "failure", message=safe_text(case.failure))
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, "unicode").encode()
