"""Small collections: what every store must do, whichever adapter it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.wardwatch.store.samples import START
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError
from wardwatch.event import Document, rfc3339
from wardwatch.store import Documents, Find, Store


@pytest.fixture
def cases(store: Store) -> Documents:
    """The collection of cases."""
    return store.documents("cases")


def doc(tenant: str, number: int = 0, **fields: Any) -> Document:
    """Return a document of the tenant."""
    return {"at": rfc3339(START + timedelta(minutes=number)), "tenant": tenant, "number": str(number), **fields}


def numbers(documents: Documents, tenant: str, **fields: str | bool) -> list[str]:
    """Return the numbers of the tenant's documents that have these values."""
    page = documents.find(Find(fields=fields, tenants=frozenset({tenant})))
    assert page.total == len(page.items)
    return [item.doc["number"] for item in page.items]


def test_a_created_document_is_read_and_found_on_return(cases: Documents, tenant: str) -> None:
    written = doc(tenant, title="勒索", steps=[{"done": True}], open=True)
    cases.create(f"{tenant}-1", written)
    assert cases.get(f"{tenant}-1").doc == written
    assert numbers(cases, tenant, title="勒索", open=True) == ["0"]
    assert numbers(cases, tenant, open=False) == []


def test_creating_an_id_twice_is_a_conflict(cases: Documents, tenant: str) -> None:
    cases.create(f"{tenant}-1", doc(tenant, 1))
    with pytest.raises(Conflict):
        cases.create(f"{tenant}-1", doc(tenant, 2))
    assert cases.get(f"{tenant}-1").doc["number"] == "1"


def test_one_id_in_two_collections_is_two_documents(store: Store, tenant: str) -> None:
    store.documents("cases").create(tenant, doc(tenant, 1))
    store.documents("views").create(tenant, doc(tenant, 2))
    assert numbers(store.documents("cases"), tenant) == ["1"]
    assert numbers(store.documents("views"), tenant) == ["2"]


def test_a_document_is_replaced_only_by_who_read_it_last(cases: Documents, tenant: str) -> None:
    cases.create(tenant, doc(tenant, 1, note="x"))
    first = cases.get(tenant)
    second = cases.replace(tenant, doc(tenant, 2), version=first.version)
    assert second == cases.get(tenant)
    assert second.doc == doc(tenant, 2)
    for version in (first.version, "", "x", "9/9"):
        with pytest.raises(Conflict):
            cases.replace(tenant, doc(tenant, 3), version=version)
    assert numbers(cases, tenant) == ["2"]


def test_parallel_writers_never_lose_an_update(cases: Documents, tenant: str) -> None:
    cases.create(tenant, doc(tenant, count=0))

    def add_one() -> None:
        while True:
            stored = cases.get(tenant)
            try:
                cases.replace(tenant, {**stored.doc, "count": stored.doc["count"] + 1}, version=stored.version)
                return
            except Conflict:
                continue

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(add_one) for _ in range(12)]:
            done.result()
    assert cases.get(tenant).doc["count"] == 12


def test_a_deleted_document_is_gone_and_deleting_it_again_is_no_error(cases: Documents, tenant: str) -> None:
    cases.create(tenant, doc(tenant))
    cases.delete(tenant)
    cases.delete(tenant)
    with pytest.raises(NotFound):
        cases.get(tenant)
    assert numbers(cases, tenant) == []


def test_an_absent_document_is_not_found(cases: Documents, tenant: str) -> None:
    for identifier in (tenant, "", "x" * 600):
        with pytest.raises(NotFound):
            cases.get(identifier)
    with pytest.raises(NotFound):
        cases.replace(tenant, doc(tenant), version="1")


@pytest.mark.parametrize("name", ["../users/_doc/1", "a/b?c=d&e", "%2e%2e%2f", "病区 七", "🔥", "_search", "a\nb", '"'])
def test_any_text_is_an_id(cases: Documents, tenant: str, name: str) -> None:
    identifier = f"{name}{tenant}"
    cases.create(identifier, doc(tenant))
    assert cases.get(identifier).doc == doc(tenant)
    cases.delete(identifier)
    assert numbers(cases, tenant) == []


@pytest.mark.parametrize("identifier", ["", "x" * 513])
def test_an_id_has_1_to_512_bytes(cases: Documents, tenant: str, identifier: str) -> None:
    with pytest.raises(RecordError, match="1 to 512 bytes"):
        cases.create(identifier, doc(tenant))


@pytest.mark.parametrize("fields", [{"at": "soon"}, {"at": None}, {"note": "\ud800"}, {"number": 2**70}])
def test_a_document_that_cant_be_stored_is_a_clear_error(cases: Documents, tenant: str, fields: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        cases.create(tenant, {**doc(tenant), **fields})
    assert numbers(cases, tenant) == []


def test_documents_are_found_newest_first_page_by_page(cases: Documents, tenant: str) -> None:
    for number in (2, 0, 4, 1, 3):
        cases.create(f"{tenant}-{number}", doc(tenant, number))
    seen: list[str] = []
    after = None
    while True:
        page = cases.find(Find(tenants=frozenset({tenant}), after=after, limit=2))
        assert page.total == 5
        seen += [item.doc["number"] for item in page.items]
        if (after := page.after) is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]


def test_documents_are_found_from_a_moment_until_before_another(cases: Documents, tenant: str) -> None:
    for number in range(4):
        cases.create(f"{tenant}-{number}", doc(tenant, number))
    start, end = START + timedelta(minutes=1), START + timedelta(minutes=3)
    page = cases.find(Find(tenants=frozenset({tenant}), start=start, end=end))
    assert [item.doc["number"] for item in page.items] == ["2", "1"]


TITLES = ["VIP 病历被查阅", "vip export", "100% of *.dcm", "a_b", "back\\slash"]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("vip", ["1", "0"]),
        ("病历", ["0"]),
        ("EXPORT", ["1"]),
        ("*.dcm", ["2"]),
        ("v*p", []),
        ("v?p", []),
        ("100%", ["2"]),
        ("1%", []),
        ("a_b", ["3"]),
        ("k\\s", ["4"]),
        ("' OR 1=1", []),
    ],
)
def test_documents_are_found_by_a_part_of_their_title(
    part: str, found: list[str], cases: Documents, tenant: str
) -> None:
    for number, title in enumerate(TITLES):
        cases.create(f"{tenant}-{number}", doc(tenant, number, title=title))
    cases.create(f"{tenant}-none", doc(tenant, 9))
    page = cases.find(Find(tenants=frozenset({tenant}), title=part))
    assert [item.doc["number"] for item in page.items] == found


def test_a_garbled_page_key_is_a_clear_error(cases: Documents) -> None:
    with pytest.raises(RecordError, match="the page's key is garbled"):
        cases.find(Find(after="x"))


def test_documents_of_other_tenants_are_not_found(cases: Documents, tenant: str) -> None:
    cases.create(f"{tenant}-1", doc(tenant, mark=tenant))
    cases.create(f"{tenant}-2", doc("other", mark=tenant))
    cases.create(f"{tenant}-3", {"at": rfc3339(START), "mark": tenant})
    found = cases.find(Find({"mark": tenant}, frozenset({tenant})))
    assert [item.doc for item in found.items] == [doc(tenant, mark=tenant)]
    assert cases.find(Find({"mark": tenant}, frozenset())).total == 0
    assert cases.find(Find({"mark": tenant})).total == 3


def test_a_version_that_find_returned_is_good_for_a_replace(cases: Documents, tenant: str) -> None:
    cases.create(tenant, doc(tenant, 1))
    (item,) = cases.find(Find(tenants=frozenset({tenant}))).items
    assert cases.replace(tenant, doc(tenant, 2), version=item.version).doc["number"] == "2"


def test_a_document_near_the_limit_of_bytes_comes_back_whole(store: Store, tenant: str) -> None:
    evidence = store.documents("evidence")
    written = doc(tenant, data="QUJD" * 200_000)
    evidence.create(tenant, written)
    assert evidence.get(tenant).doc == written


def test_audit_records_are_never_changed(store: Store, tenant: str) -> None:
    audit = store.documents("audit")
    audit.create(tenant, doc(tenant))
    version = audit.get(tenant).version
    with pytest.raises(Forbidden):
        audit.replace(tenant, doc(tenant, 2), version=version)
    with pytest.raises(Forbidden):
        audit.delete(tenant)
    assert numbers(audit, tenant) == ["0"]
