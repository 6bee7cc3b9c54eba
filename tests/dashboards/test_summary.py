from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from dashboards.present import AlertView
from dashboards.summary import markdown
from tests.dashboards.site import VIP, document, sign_in
from tests.payloads import HOSTILE
from wardwatch.store import AlertWrite

if TYPE_CHECKING:
    import httpx

    from dashboards.console import Console
    from wardwatch.store import Store

LINK = "https://console.example/alerts/1"


def _view(console: Console, title: str, lang: str = "en") -> AlertView:
    story = replace(VIP, title={"en": title, "zh": title}, sentence={"en": title, "zh": title})
    return AlertView(document(story), console.hospitals.get(VIP.tenant), lang)


def test_an_alert_as_markdown_says_what_the_page_says(client: httpx.Client) -> None:
    sign_in(client, "lin")
    answer = client.get(f"/alerts/{VIP.id}/markdown", headers={"Accept-Language": "en"})
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    html = MarkdownIt("commonmark").render(answer.text)
    for said in (VIP.title["en"], VIP.sentence["en"], "st_9f2a", "pt_c2f1", "hospital.patient.vip", VIP.rule):
        assert said in html, said
    assert f'<a href="{client.base_url}/alerts/{VIP.id}">' in html


def test_the_link_is_the_one_that_the_alert_has(client: httpx.Client, store: Store) -> None:
    story = replace(VIP, group="linked")
    doc = document(story)
    doc["event"]["url"] = LINK
    store.alerts.write([AlertWrite(story.id, doc)])
    sign_in(client, "lin")
    assert client.get(f"/alerts/{story.id}/markdown").text.endswith(f"\n<{LINK}>\n")


@pytest.mark.parametrize("payload", HOSTILE)
def test_what_a_log_wrote_is_text_alone_in_markdown(payload: str, console: Console) -> None:
    rendered = MarkdownIt("commonmark").render(markdown(_view(console, payload), LINK))
    plain = MarkdownIt("commonmark").render(markdown(_view(console, "Plain"), LINK))
    tags = [part.split(">")[0] for part in rendered.split("<")[1:]]
    assert tags == [part.split(">")[0] for part in plain.split("<")[1:]]
