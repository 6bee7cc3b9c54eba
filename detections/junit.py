"""Reports as JUnit XML, as CI servers read them.

Source: the schema of Jenkins' xUnit plugin (junit-10.xsd): testsuites, testsuite, testcase, failure, error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from wardwatch.text import safe_text


@dataclass(frozen=True, slots=True)
class Case:
    """One test: its file, its name, why it failed or could not run ("" otherwise), and what to read on."""

    file: str
    name: str
    failure: str = ""
    error: str = ""
    details: str = ""


def report(name: str, suites: Sequence[tuple[str, Sequence[Case]]], seconds: float) -> bytes:
    """Return the report: each suite by its name with its cases; ``seconds`` is what all of it took."""
    root = Element("testsuites", name=name, time=f"{seconds:.3f}")
    root.attrib |= _counts([case for _, cases in suites for case in cases])
    for suite, cases in suites:
        element = SubElement(root, "testsuite", {"name": safe_text(suite), **_counts(cases)})
        for case in cases:
            _case(element, suite, case)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    failures = sum(bool(case.failure) for case in cases)
    errors = sum(bool(case.error) for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}


def _case(suite: Element, classname: str, case: Case) -> None:
    element = SubElement(suite, "testcase", name=safe_text(case.name), classname=safe_text(classname))
    element.set("file", safe_text(case.file))
    for kind, reason in (("failure", case.failure), ("error", case.error)):
        if reason:
            SubElement(element, kind, message=safe_text(reason), type="rule").text = case.details
