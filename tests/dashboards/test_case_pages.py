from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest
from markupsafe import escape
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from dashboards import workflow
from dashboards.auth.people import Role, new_person
from dashboards.cases import evidence, requests, work
from dashboards.cases.case import Case, RequestKind
from dashboards.cases.export import OCSF_VERSION
from dashboards.cases.work import AlertRef, Facts
from dashboards.i18n import LANGUAGES, catalogue
from dashboards.summary import escaped
from tests.dashboards.site import PASSWORD, STORIES, VIP, form_token, sign_in
from tests.payloads import HOSTILE
from wardwatch.alert import Verdict
from wardwatch.headers import HEADERS
from wardwatch.store import Find
from wardwatch.text import safe_text

if TYPE_CHECKING:
    from dashboards.auth.people import Person
    from dashboards.console import Console


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


@pytest.fixture
def case(console: Console, lin: Person) -> Case:
    return opened(console, lin)


def opened(console: Console, person: Person, *, title: str = "", alert: str = VIP.id) -> Case:
    state = workflow.state_of(workflow.read(console.store, person, alert).doc)
    return work.escalate(console.store, person, [AlertRef(alert, state)], console.clock, "en", title=title).case


def worked(console: Console, lin: Person, words: str) -> Case:
    """Return a case with the words in every field that people write."""
    store, able = console.store, console.workers("zhongxin")
    case = opened(console, lin, title=words)
    facts = Facts(words, case.severity, "lin", words, words, words)
    case = work.edit(store, lin, case.id, case.state, facts, able)
    work.note(store, lin, case.id, words)
    work.add_task(store, lin, case.id, words, "en", able)
    case = requests.ask(store, lin, case.id, RequestKind.CONTAINMENT, words, console.clock)
    requests.answer(store, console.people.get("zhou"), case.id, case.requests[0].id, words, console.clock, agreed=True)
    return evidence.add(store, lin, case.id, f"{words.replace('/', ' ')}.txt", b"seen")


def in_language(client: httpx.Client, lang: str) -> None:
    client.cookies.set("wardwatch_lang", lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_list_and_a_case_are_in_one_language_with_every_header_and_nothing_inline(
    lang: str, client: httpx.Client, case: Case
) -> None:
    sign_in(client, "lin")
    in_language(client, lang)
    other = catalogue("en" if lang == "zh" else "zh")["case.timeline"]
    for path in ("/cases", "/cases?view=closed", f"/cases/{case.id}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert f">{other}<" not in answer.text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", answer.text)


def test_what_heads_a_case_stands_before_its_timeline_and_the_rest_in_order(client: httpx.Client, case: Case) -> None:
    sign_in(client, "lin")
    page = client.get(f"/cases/{case.id}").text
    marks = ["<h1>", *(f"<dt>{name}</dt>" for name in ("Verdict", "Owner", "Next step", "Blockers"))]
    marks += [f'id="{part}"' for part in ("timeline", "tasks", "requests", "alerts", "files", "notes")]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_list_shows_the_cases_of_ones_hospitals_by_tab(client: httpx.Client, console: Console, lin: Person) -> None:
    mine = opened(console, lin)
    theirs = opened(console, lin, alert=STORIES[2].id)
    sign_in(client, "lin")
    assert set(re.findall(r'<tr id="row-([^"]+)"', client.get("/cases").text)) == {mine.id, theirs.id}
    assert re.findall(r'<tr id="row-([^"]+)"', client.get("/cases?tenant=renai").text) == [theirs.id]
    assert "No cases here." in client.get("/cases?view=closed").text
    assert client.get("/cases?view=garbled").status_code == 400


def test_the_list_is_searched_by_title_within_tab_and_hospitals(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    first = opened(console, lin, title="Export of VIP records <b>&")
    second = opened(console, lin, title="Kiosk", alert=STORIES[1].id)
    sign_in(client, "lin")

    def listed(q: str, **more: str) -> list[str]:
        found = client.get("/api/v1/cases", params={"q": q, **more}).json()
        page = client.get("/cases", params={"q": q, **more}).text
        assert [one["case"]["id"] for one in found["cases"]] == re.findall(r'id="row-([^"]+)"', page)
        return [one["case"]["id"] for one in found["cases"]]

    assert listed("vip") == [first.id]
    assert listed(" kiosk ") == [second.id]
    assert listed("vip", view="closed") == listed("nothing") == []
    page = client.get("/cases", params={"q": "<b>&", "view": "open"}).text
    assert 'action="/cases"' in page
    assert 'value="&lt;b&gt;&amp;"' in page
    assert "q=%3Cb%3E%26" in page
    sign_in(client, "ren")
    assert listed("e") == [case.id for case in (first, second) if case.tenant == "renai"]


def test_a_plain_form_escalates_an_alert_and_leads_back_with_undo(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get(f"/alerts/{VIP.id}").text
    state = re.search(r'name="state" value="(\w+)"', page)
    assert state
    data = {"csrf": form_token(page), "state": state[1], "case": "new"}
    answer = client.post(f"/alerts/{VIP.id}/escalate", data=data)
    assert answer.status_code == 303
    after = client.get(answer.headers["location"]).text
    undo = re.search(r'name="audit_id" value="(\w+)"', after)
    assert undo
    assert "Part of a case" in after
    client.post(f"/alerts/{VIP.id}/undo", data={"csrf": data["csrf"], "audit_id": undo[1]})
    assert "Part of a case" not in client.get(f"/alerts/{VIP.id}").text
    assert "No cases here." in client.get("/cases").text


def test_the_last_used_case_is_missing_with_a_reason(client: httpx.Client) -> None:
    sign_in(client, "lin")
    page = client.get(f"/alerts/{VIP.id}").text
    state = re.search(r'name="state" value="(\w+)"', page)
    assert state
    data = {"csrf": form_token(page), "state": state[1], "case": "last"}
    answer = client.post(f"/alerts/{VIP.id}/escalate", data=data)
    assert answer.status_code == 400
    assert "no open case of this hospital" in answer.text


@pytest.mark.parametrize(("lang", "said"), [("en", "lin changed it at 20"), ("zh", "lin 已于 20")])
def test_a_conflict_says_who_was_faster_and_htmx_keeps_what_was_typed(
    lang: str, said: str, client: httpx.Client, case: Case, console: Console, lin: Person
) -> None:
    sign_in(client, "lin")
    in_language(client, lang)
    old = {"csrf": form_token(client.get(f"/cases/{case.id}").text), "state": case.state}
    facts = Facts("Faster", case.severity)
    work.edit(console.store, lin, case.id, case.state, facts, [])
    data = {**old, "title": "Slower", "severity": "high"}
    plain = client.post(f"/cases/{case.id}/edit", data=data)
    swapped = client.post(f"/cases/{case.id}/edit", data=data, headers={"HX-Request": "true", "HX-Target": "case"})
    for answer in (plain, swapped):
        assert answer.status_code == 409
        assert said in answer.text
    assert (swapped.headers["HX-Retarget"], swapped.headers["HX-Reselect"]) == ("#case-problem", ".problem")


def test_a_form_with_a_file_needs_no_script_and_the_file_comes_back_as_a_download(
    client: httpx.Client, case: Case
) -> None:
    sign_in(client, "lin")
    csrf = form_token(client.get(f"/cases/{case.id}").text)
    content = b"<script>alert(1)</script>" + b"x" * 2_000_000
    name = "\u202e报告.txt"
    sent = client.post(f"/cases/{case.id}/files", data={"csrf": csrf}, files={"file": (name, content, "text/html")})
    assert (sent.status_code, sent.headers["location"]) == (303, f"/cases/{case.id}#files")
    link = re.search(rf'href="(/cases/{case.id}/files/\w+)"', client.get(f"/cases/{case.id}").text)
    assert link
    got = client.get(link[1])
    assert got.content == content
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''%5Cu202e%E6%8A%A5%E5%91%8A.txt"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_a_file_that_is_too_long_or_of_no_known_length_is_refused_before_it_is_read(
    client: httpx.Client, case: Case
) -> None:
    sign_in(client, "lin")
    token = client.get("/api/v1/me").json()["csrf"]
    kind = {"X-CSRF-Token": token, "Content-Type": "multipart/form-data; boundary=x"}
    for root in ("/cases", "/api/v1/cases"):
        big = client.post(
            f"{root}/{case.id}/files",
            files={"file": ("a.txt", b"x" * (evidence.MAX_BYTES + 20_000))},
            headers={"X-CSRF-Token": token},
        )
        endless = client.post(f"{root}/{case.id}/files", content=iter([b"--x\r\n"]), headers=kind)
        assert (big.status_code, endless.status_code) == (400, 400)


def test_of_nobody_who_is_not_signed_in_is_a_file_read(client: httpx.Client, case: Case) -> None:
    too_long = b"x" * (evidence.MAX_BYTES + 20_000)
    answer = client.post(f"/cases/{case.id}/files", files={"file": ("a.txt", too_long)})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_in_every_field_of_a_case_is_escaped_on_page_list_and_printed_page(
    payload: str, client: httpx.Client, console: Console, lin: Person
) -> None:
    case = worked(console, lin, payload)
    sign_in(client, "lin")
    safe = str(escape(safe_text(payload)))
    for path in ("/cases", f"/cases/{case.id}", f"/cases/{case.id}/export/html"):
        text = client.get(path).text
        assert safe in text
        assert payload not in text.replace(safe, "")


class Loads(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag when it loads or runs something."""
        names = {name for name, _ in attrs}
        if tag in ("script", "link", "img", "iframe", "form", "a") or names & {"src", "href"}:
            self.found.append(tag)


def test_the_printed_page_stands_alone_and_the_exports_are_downloads(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    case = worked(console, lin, "Call the ward")
    sign_in(client, "lin")
    page = client.get(f"/cases/{case.id}/export/html")
    loads = Loads()
    loads.feed(page.text)
    assert loads.found == []
    assert "@media print" in page.text
    for kind, ending in (("html", "html"), ("markdown", "md"), ("ocsf", "json")):
        header = client.get(f"/cases/{case.id}/export/{kind}").headers["content-disposition"]
        assert header == f"attachment; filename*=UTF-8''{case.id}.{ending}"


def test_each_export_and_each_download_leaves_one_audit_record(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    case = worked(console, lin, "Call the ward")
    sign_in(client, "zhou")
    for path in ("export/html", "export/markdown", "export/ocsf", f"files/{case.files[0].id}"):
        assert client.get(f"/cases/{case.id}/{path}").status_code == 200
    assert client.get(f"/api/v1/cases/{case.id}/export/ocsf").status_code == 200
    records = [item.doc for item in console.store.documents("audit").find(Find({"action": "export"})).items]
    told = [(each["actor"], each["tenant"], each["case"], each["what"], each.get("kind", "")) for each in records]
    kinds = [("case", "ocsf"), ("evidence", ""), ("case", "ocsf"), ("case", "markdown"), ("case", "html")]
    assert told == [("zhou", "zhongxin", case.id, *kind) for kind in kinds]
    assert records[1]["sha256"] == case.files[0].sha256
    console.people.add(new_person("shen", PASSWORD, Role.AUDITOR, []))
    sign_in(client, "shen")
    page = client.get("/audit?action=export").text
    assert page.count(f'href="/cases/{case.id}"') == 5


def test_markdown_tells_the_case_and_keeps_hostile_text_as_text(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    case = worked(console, lin, "![x](http://evil.example/a.png) <b>&amp; # *bold* | `code`")
    sign_in(client, "lin")
    text = client.get(f"/cases/{case.id}/export/markdown").text
    assert text.startswith("# \\!\\[x\\]\\(http\\://evil\\.example/a\\.png\\) \\<b\\>\\&amp; \\# \\*bold\\*")
    assert not re.search(r"(?<!\\)[<>`*_\[\]](?!\*)", re.sub(r"(?m)^- \*\*[^*]+\*\*", "", text))
    assert "## Timeline" in text


def test_escaped_markdown_is_one_line() -> None:
    assert escaped("a\n# b\r\n- c") == "a \\# b \\- c"


def incident_schema() -> dict[str, Any]:
    """Return the published schema of the Incident Finding."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=OCSF_VERSION))
    return dict(schema.get_class_schema(class_name="incident_finding", profiles=[]))


def test_the_ocsf_export_is_an_incident_finding_of_the_published_schema(
    client: httpx.Client, console: Console, lin: Person
) -> None:
    case = worked(console, lin, "Call the ward")
    sign_in(client, "lin")
    schema = incident_schema()
    document = client.get(f"/cases/{case.id}/export/ocsf").json()
    jsonschema.Draft202012Validator(schema).validate(document)
    assert (document["class_uid"], document["type_uid"], document["status_id"]) == (2005, 200502, 2)
    assert [info["uid"] for info in document["finding_info_list"]] == [VIP.id]
    work.close(console.store, lin, case.id, case.state, Verdict.BENIGN_POSITIVE, "planned")
    document = client.get(f"/cases/{case.id}/export/ocsf").json()
    jsonschema.Draft202012Validator(schema).validate(document)
    assert (document["activity_id"], document["status_id"], document["verdict_id"]) == (3, 5, 5)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**document, "status_id": "closed"})


def test_the_api_does_what_the_pages_do(client: httpx.Client) -> None:
    sign_in(client, "lin")
    headers = {"X-CSRF-Token": client.get("/api/v1/me").json()["csrf"]}

    def post(path: str, **body: Any) -> Any:
        answer = client.post(f"/api/v1/cases{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    state = client.get(f"/api/v1/alerts/{VIP.id}").json()["state"]
    made = post("", alerts=[{"id": VIP.id, "state": state}], title="From the API")
    case = made["case"]["id"]
    assert made["audit_ids"].keys() == {VIP.id}
    post(f"/{case}/notes", text="written")
    asked = post(f"/{case}/requests", kind="question", text="Who?", due_at="2026-12-01T08:00:00+08:00")
    assert (asked["case"]["status"], asked["case"]["requests"][0]["due_at"]) == ("waiting", "2026-12-01T00:00:00.000Z")
    naive = client.post(
        f"/api/v1/cases/{case}/tasks", json={"text": "x", "due_at": "2026-12-01T08:00:00"}, headers=headers
    )
    assert naive.status_code == 422
    closed = post(f"/{case}/close", state=asked["state"], verdict="benign_positive")
    assert closed["case"]["status"] == "closed"
    whole = client.get(f"/api/v1/cases/{case}").json()
    assert whole["alerts"] == [VIP.id]
    assert {"event", "alert", "note", "asked_hospital", "case_close"} <= {one["kind"] for one in whole["timeline"]}
    assert client.get("/api/v1/cases?view=closed").json()["total"] == 1
