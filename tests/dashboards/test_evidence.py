from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from dashboards import workflow
from dashboards.cases import case as cases
from dashboards.cases import evidence, work
from dashboards.cases.work import AlertRef
from tests.dashboards.site import STORIES, VIP
from wardwatch.alert import Verdict
from wardwatch.errors import NotFound, RecordError

if TYPE_CHECKING:
    from dashboards.auth.people import Person
    from dashboards.cases.case import Case
    from dashboards.console import Console


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


def opened(console: Console, person: Person, alert: str = VIP.id) -> Case:
    ref = AlertRef(alert, workflow.state_of(workflow.read(console.store, person, alert).doc))
    return work.escalate(console.store, person, [ref], console.clock, "en").case


@pytest.fixture
def case(console: Console, lin: Person) -> Case:
    return opened(console, lin)


def test_a_file_of_many_parts_comes_back_as_it_was_with_its_hash(console: Console, lin: Person, case: Case) -> None:
    content = b"\xd4\xc3\xb2\xa1" + bytes(range(256)) * 5000
    kept = evidence.add(console.store, lin, case.id, "traffic.pcap", content).files[0]
    assert (kept.name, kept.size_bytes, kept.by) == ("traffic.pcap", len(content), "lin")
    assert kept.sha256 == sha256(content).hexdigest()
    assert evidence.read(console.store, lin, case.id, kept.id) == (kept, content)


def test_the_same_bytes_are_kept_once_for_a_hospital_and_named_by_each_case(console: Console, lin: Person) -> None:
    first, second = opened(console, lin), opened(console, lin, STORIES[1].id)
    for case in (first, second):
        kept = evidence.add(console.store, lin, case.id, "a.txt", b"seen").files[0]
        assert evidence.read(console.store, lin, case.id, kept.id)[1] == b"seen"
        with pytest.raises(RecordError, match="already"):
            evidence.add(console.store, lin, case.id, "b.txt", b"seen")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", b"<script>alert(1)</script>"),
        ("picture.svg", b"<svg onload=alert(1)>"),
        ("tool.exe", b"MZ"),
        ("noending", b"x"),
        (".txt", b"x"),
        ("picture.png", b"<html>"),
        ("log.txt", b"MZ\0\0"),
        ("empty.txt", b""),
        ("large.txt", b"x" * (evidence.MAX_BYTES + 1)),
    ],
)
def test_what_is_no_evidence_is_refused_and_leaves_nothing(
    name: str, content: bytes, console: Console, lin: Person, case: Case
) -> None:
    with pytest.raises(RecordError):
        evidence.add(console.store, lin, case.id, name, content)
    assert cases.read(console.store, lin, case.id) == case


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\lin\\log.TXT", "log.txt"),
        ("gnp\u202etxt.csv", "gnp\\u202etxt.csv"),
        ("a\r\nSet-Cookie: x=1.txt", "a Set-Cookie: x=1.txt"),
        ('";\x1b[31m.log', '";\\x1b[31m.log'),
        ("病历 截图.png", "病历 截图.png"),
        ("x" * 500 + ".json", "x" * 120 + ".json"),
    ],
)
def test_a_files_name_is_its_last_part_made_visible(name: str, kept: str) -> None:
    assert evidence.safe_name(name) == kept


def test_bytes_that_changed_in_the_store_are_not_handed_out(console: Console, lin: Person, case: Case) -> None:
    kept = evidence.add(console.store, lin, case.id, "a.txt", b"seen").files[0]
    part = f"{case.tenant}-{kept.sha256}-0"
    documents = console.store.documents("evidence")
    stored = documents.get(part)
    documents.replace(part, {**stored.doc, "data": "Zm9yZ2Vk"}, version=stored.version)
    with pytest.raises(RecordError, match="not those"):
        evidence.read(console.store, lin, case.id, kept.id)


def test_a_file_of_another_hospital_or_case_is_not_found(console: Console, lin: Person, case: Case) -> None:
    kept = evidence.add(console.store, lin, case.id, "a.txt", b"seen").files[0]
    other = opened(console, lin, STORIES[1].id)
    with pytest.raises(NotFound):
        evidence.read(console.store, lin, other.id, kept.id)
    with pytest.raises(NotFound):
        evidence.read(console.store, console.people.get("ren"), case.id, kept.id)


def test_a_closed_case_takes_no_file(console: Console, lin: Person, case: Case) -> None:
    work.close(console.store, lin, case.id, case.state, Verdict.DUPLICATE)
    with pytest.raises(cases.Overtaken):
        evidence.add(console.store, lin, case.id, "a.txt", b"seen")
