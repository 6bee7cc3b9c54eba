from __future__ import annotations

import csv
import io
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from dashboards import audit
from dashboards.audit_cli import audit as command
from dashboards.auth.people import People, Role
from dashboards.console import Console
from tests.dashboards.site import PASSWORD, VIP, form_token, sign_in
from wardwatch.errors import Conflict
from wardwatch.event import Document
from wardwatch.store import Find, Store, open_store
from wardwatch.testing.ports import wait_until
from wardwatch.text import safe_cell

Rewriter = Callable[[sqlite3.Connection], object]


def written(store: Store, number: int = 6) -> None:
    for each in range(number):
        audit.record(store, "lin", "sign_in", address=f"10.0.0.{each}")


def rows(database: sqlite3.Connection) -> list[Document]:
    found = database.execute("SELECT doc FROM documents WHERE collection = 'audit' ORDER BY id")
    return [orjson.loads(row[0]) for row in found]


def put(database: sqlite3.Connection, identifier: str, doc: Document) -> None:
    """Write a record past the store, as who holds its file can."""
    data = orjson.dumps(doc)
    database.execute("UPDATE documents SET doc = ? WHERE collection = 'audit' AND id = ?", (data, identifier))


def change_one(database: sqlite3.Connection) -> None:
    doc = rows(database)[2]
    put(database, doc["id"], {**doc, "actor": "zhou"})


def change_one_with_its_hash(database: sqlite3.Connection) -> None:
    doc = {**rows(database)[2], "actor": "zhou"}
    put(database, doc["id"], {**doc, "hash": audit._hash(doc)})


def change_the_first_with_its_hash(database: sqlite3.Connection) -> None:
    doc = {**rows(database)[0], "actor": "zhou"}
    put(database, doc["id"], {**doc, "hash": audit._hash(doc)})


def remove_one(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM documents WHERE collection = 'audit' AND id = ?", (rows(database)[2]["id"],))


def remove_the_first(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM documents WHERE collection = 'audit' AND id = ?", (rows(database)[0]["id"],))


def remove_several(database: sqlite3.Connection) -> None:
    ids = [doc["id"] for doc in rows(database)[1:4]]
    database.execute("DELETE FROM documents WHERE collection = 'audit' AND id IN (?, ?, ?)", ids)


def insert_one(database: sqlite3.Connection) -> None:
    database.execute(
        "INSERT INTO documents (collection, id, version, at, tenant, doc)"
        " SELECT collection, 'planted', 1, at, tenant, doc FROM documents WHERE collection = 'audit' LIMIT 1"
    )


def insert_one_without_number(database: sqlite3.Connection) -> None:
    insert_one(database)
    put(database, "planted", {"id": "planted", "at": "2026-01-01T00:00:00Z", "actor": "lin", "action": "sign_in"})


def swap_two(database: sqlite3.Connection) -> None:
    second, third = rows(database)[1:3]
    put(database, second["id"], {**third, "id": second["id"]})
    put(database, third["id"], {**second, "id": third["id"]})


FORGERIES = [
    change_one,
    change_one_with_its_hash,
    change_the_first_with_its_hash,
    remove_one,
    remove_the_first,
    remove_several,
    insert_one,
    insert_one_without_number,
    swap_two,
]


def test_a_chain_that_nobody_touched_is_whole(store: Store) -> None:
    assert audit.verify(store) == audit.Finding(0, audit.Anchor(0, ""), [])
    written(store)
    found = audit.verify(store)
    assert (found.records, found.head.seq, found.problems) == (6, 6, [])


@pytest.mark.parametrize("forge", FORGERIES)
def test_every_forgery_in_the_stores_file_is_found(forge: Rewriter, store: Store, tmp_path: Path) -> None:
    written(store)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database, database:
        forge(database)
    assert audit.verify(store).problems


def rewrite_all(database: sqlite3.Connection) -> None:
    """Compute the whole chain anew after a change, as who holds the store's file can."""
    before = ""
    for number, doc in enumerate(rows(database)):
        forged = {**doc, "chain": before, "actor": "zhou" if number == 1 else doc["actor"]}
        forged["hash"] = before = audit._hash(forged)
        put(database, doc["id"], forged)


def cut_the_end(database: sqlite3.Connection) -> None:
    for doc in rows(database)[4:]:
        database.execute("DELETE FROM documents WHERE collection = 'audit' AND id = ?", (doc["id"],))


@pytest.mark.parametrize("forge", [rewrite_all, cut_the_end])
def test_what_the_chain_alone_cannot_show_an_anchor_shows(forge: Rewriter, store: Store, tmp_path: Path) -> None:
    written(store)
    noted = audit.verify(store).head
    assert audit.verify(store, noted).problems == []
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as database, database:
        forge(database)
    assert audit.verify(store).problems == []
    assert audit.verify(store, noted).problems == ["record 6 is not the one that was noted"]


_WRITER = """
import sys
from dashboards import audit
from wardwatch.store import open_store
store = open_store(sys.argv[1])
for number in range(40):
    audit.record(store, sys.argv[2], "sign_in", number=number)
store.close()
"""


def test_processes_that_write_at_the_same_time_make_one_chain_and_lose_nothing(store: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, url, name]) for name in ("a", "b", "c")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = audit.verify(store)
    assert (found.records, found.problems) == (120, [])
    for name in ("a", "b", "c"):
        own = [doc["number"] for doc in audit.entries(store, Find(fields={"actor": name}))]
        assert sorted(own) == list(range(40))


def test_a_write_whose_answer_was_lost_is_in_the_chain_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    records = type(store.documents("audit"))
    create = records.create

    def answer_is_lost(self: object, identifier: str, doc: Document) -> None:
        create(self, identifier, doc)  # type: ignore[arg-type]
        raise Conflict("the second try finds the first one", step="store")

    written(store, 1)
    with monkeypatch.context() as patch:
        patch.setattr(records, "create", answer_is_lost)
        written(store, 1)
    written(store, 1)
    found = audit.verify(store)
    assert (found.records, found.problems) == (3, [])


def test_the_command_prints_an_anchor_and_fails_for_a_forgery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    file = tmp_path / "store.sqlite"
    store = open_store(f"sqlite:///{file}")
    store.setup()
    written(store)
    store.close()
    told = CliRunner().invoke(command, ["verify"])
    assert (told.exit_code, "6 records are whole" in told.output) == (0, True)
    anchor = told.output.split("anchor ")[1].strip()
    assert CliRunner().invoke(command, ["verify", "--anchor", anchor]).exit_code == 0
    with closing(sqlite3.connect(file)) as database, database:
        cut_the_end(database)
    assert CliRunner().invoke(command, ["verify"]).exit_code == 0
    told = CliRunner().invoke(command, ["verify", "--anchor", anchor])
    assert (told.exit_code, "record 6 is not the one that was noted" in told.output) == (1, True)
    assert CliRunner().invoke(command, ["verify", "--anchor", "six"]).exit_code == 1


@pytest.fixture
def auditor(client: httpx.Client, console: Console) -> httpx.Client:
    lin = console.people.get("lin")
    console.people.add(replace(lin, name="shen", roles=frozenset({Role.AUDITOR})))
    sign_in(client, "shen")
    return client


def test_the_page_filters_by_who_what_where_and_when(auditor: httpx.Client, store: Store) -> None:
    audit.record(store, "zhou", "close", tenant="zhongxin", alert=VIP.id)
    audit.record(store, "lin", "assign", tenant="renai", alert="x")

    def listed(query: str) -> int:
        return auditor.get(f"/audit?{query}").text.count("<details><summary>")

    assert [listed(query) for query in ("", "actor=zhou", "action=assign", "tenant=renai")] == [3, 1, 1, 1]
    assert [listed(query) for query in ("start=2020-01-01", "start=2100-01-01", "end=2020-01-01")] == [3, 0, 0]
    assert auditor.get("/audit?start=soon").status_code == 400
    page = auditor.get("/audit?actor=zhou").text
    assert f'href="/alerts/{VIP.id}"' in page
    assert ">closed</a>" in page


def test_the_page_goes_on_by_key(auditor: httpx.Client, store: Store) -> None:
    written(store, 60)
    first = auditor.get("/audit?actor=lin").text
    assert "50 of 60" in first
    after = first.split("after=")[1].split('"')[0]
    assert auditor.get(f"/audit?actor=lin&after={after}").text.count("<details><summary>") == 10


def test_who_sees_one_hospital_reads_its_records_alone(client: httpx.Client, console: Console, store: Store) -> None:
    lin = console.people.get("lin")
    lead = replace(lin, name="guo", roles=frozenset({Role.LEAD}), tenants=frozenset({"renai"}))
    console.people.add(lead)
    audit.record(store, "zhou", "close", tenant="zhongxin", alert=VIP.id)
    audit.record(store, "ren", "close", tenant="renai", alert="x")
    sign_in(client, "guo")
    found = [orjson.loads(line) for line in client.get("/api/v1/audit/ndjson").text.splitlines()]
    assert [entry["actor"] for entry in found] == ["ren"]
    assert VIP.id not in client.get("/audit").text
    assert client.get("/api/v1/audit/ndjson?tenant=zhongxin").text == ""


def test_the_export_is_every_record_that_the_filter_finds_and_is_recorded(auditor: httpx.Client, store: Store) -> None:
    written(store, 4)
    lines = auditor.get("/api/v1/audit/ndjson?action=sign_in&actor=lin").text.splitlines()
    assert sorted(orjson.loads(line)["address"] for line in lines) == [f"10.0.0.{each}" for each in range(4)]
    kept = store.documents("audit").find(Find(fields={"action": "export"})).items
    assert [(item.doc["actor"], item.doc["kind"]) for item in kept] == [("shen", "ndjson")]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_of_the_export_is_a_formula(sign: str, auditor: httpx.Client, store: Store) -> None:
    audit.record(store, f"{sign}cmd|'/C calc'!A0", f'{sign}HYPERLINK("http://x","y")', address=f"{sign}1")
    table = list(csv.DictReader(io.StringIO(auditor.get("/api/v1/audit/csv").text, newline="")))
    forged = next(row for row in table if row["actor"] != "shen")
    assert forged["actor"].startswith("'")
    assert all(not cell.startswith(sign) for row in table for cell in row.values())
    assert forged["address"] == safe_cell(f"{sign}1")


def test_hostile_text_in_a_record_is_inert_on_the_page(auditor: httpx.Client, store: Store) -> None:
    payload = "</pre></template><script>alert(1)</script>\u202e"
    audit.record(store, payload, payload, user=payload, address=payload, why={"x": payload})
    page = auditor.get("/audit").text
    assert payload not in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_a_bulk_change_is_one_record_for_each_hospital(client: httpx.Client, console: Console, store: Store) -> None:
    sign_in(client, "lin")
    token = client.get("/api/v1/me").json()["csrf"]
    order = {"key": "take-them-all", "action": "acknowledge", "filter": {}}
    job = client.post("/api/v1/bulk", json=order, headers={"X-CSRF-Token": token}).json()["id"]
    wait_until(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "done", what="job")
    kept = store.documents("audit").find(Find(fields={"action": "acknowledge"})).items
    assert sorted((item.doc["tenant"], len(item.doc["alert"])) for item in kept) == [("renai", 2), ("zhongxin", 2)]


def test_every_change_of_people_sessions_and_tokens_leaves_a_record(client: httpx.Client, store: Store) -> None:
    people = People(store)
    people.add(replace(people.get("lin"), name="gao", roles=frozenset({Role.ADMIN})))
    sign_in(client, "gao")
    csrf = form_token(client.get("/account").text)

    def send(path: str, **fields: str) -> None:
        assert client.post(path, data={"csrf": csrf, **fields}).status_code in (200, 303), path

    send("/people", account="new", password=PASSWORD, role="viewer", tenant="renai")
    version = client.get("/people/new").text.split('name="version" value="')[1].split('"')[0]
    send("/people/new", role="analyst", tenant="renai", version=version)
    send("/people/new/password", password=PASSWORD)
    send("/people/new/second-factor")
    send("/people/new/sessions")
    send("/account/tokens", label="x", days="1")
    send("/logout")
    kept = [item.doc["action"] for item in store.documents("audit").find(Find()).items]
    assert kept[::-1] == [
        "sign_in",
        "user_add",
        "user_change",
        "user_password",
        "second_factor_removed",
        "sessions_revoked",
        "token_add",
        "sign_out",
    ]
