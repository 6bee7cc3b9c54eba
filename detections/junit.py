"""Outcomes of rule tests as JUnit XML, as CI servers read it.

Source: the schema of Jenkins' xUnit plugin (junit-10.xsd): testsuites, testsuite, testcase, failure, error.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from detections.rule_tests import Tested
from wardwatch.text import safe_text


def report(results: Sequence[Tested], seconds: float) -> bytes:
    """Return the report: a suite for each rule, a case for each of its events."""
    root = Element("testsuites", name="wardwatch rules test", time=f"{seconds:.3f}")
    for tested in results:
        _suite(root, tested)
    root.set("tests", str(sum(len(suite) for suite in root)))
    for kind in ("failures", "errors"):
        root.set(kind, str(sum(int(suite.get(kind, 0)) for suite in root)))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _suite(root: Element, tested: Tested) -> None:
    failures = [each for each in tested.outcomes if not each.passed]
    suite = SubElement(root, "testsuite", name=safe_text(tested.title))
    suite.set("tests", str(len(tested.outcomes) or 1))
    suite.set("failures", str(len(failures)))
    suite.set("errors", str(int(bool(tested.problem))))
    for outcome in tested.outcomes:
        case = SubElement(suite, "testcase", name=outcome.name, classname=safe_text(tested.title))
        case.set("file", safe_text(str(tested.file)))
        if not outcome.passed:
            failure = SubElement(case, "failure", message=outcome.answer(), type="rule")
            failure.text = "\n".join(outcome.tree())
    if tested.problem:
        case = SubElement(suite, "testcase", name="tests", classname=safe_text(tested.title))
        SubElement(case, "error", message=safe_text(tested.problem), type="rule")
