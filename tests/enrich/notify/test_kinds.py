"""Each kind of channel against a real server that checks what it gets by its own computation."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import orjson
import pytest
from py_ocsf_models.events.findings.detection_finding import DetectionFinding

from enrich.notify import channels
from enrich.notify.kinds import Post
from enrich.notify.message import Told, compose
from enrich.notify.notice import Kind
from tests.enrich.notify.servers import Web, web
from tests.payloads import PAYLOADS
from wardwatch.alert import Finding, Severity, machine_alert, new_workflow
from wardwatch.errors import PeerRefused, PeerUnavailable, SettingsError
from wardwatch.outbound import Outbound
from wardwatch.settings import OutboundSettings

HERE = Outbound(OutboundSettings(allow=(ip_network("127.0.0.1/32"),)))
NOW = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()

HOSTILE = [
    "**bold** [click](https://evil.example/x) `code` <b>tag</b>",
    '<!channel> <@U123> <at user_id="all">all</at> @all @所有人',
    "line\r\nBcc: victim@example.org\r\n\r\nbody",
    "\x1b[2J\u202eevil\u2066 \ufeff\u200b",
    "{{DATE(2017-02-14T06:08:00Z)}} #heading\n> quote",
    "</script><script>alert(1)</script>&amp;",
    "\ud800 lone",
    "www.evil.example HTTPS://EVIL.example",
]


def alert(title: str = "Failed logins", *, severity: Severity = Severity.HIGH, sentence: str = "") -> dict[str, Any]:
    doc = machine_alert(
        Finding(
            id="ward-202611-0123456789abcdef01234567",
            tenant="ward",
            organization="Ward hospital",
            rule="failed_logins",
            severity=severity,
            title={"en": title, "zh": title},
            sentence={"en": sentence or title, "zh": sentence or title},
            response={"en": "", "zh": ""},
            group={"user.name": "tok_group_value"},
            priority_reasons=[{"term": "severity", "value": 1.0, "points": 61.0}],
            first_seen="2026-11-24T11:00:00.000Z",
            last_seen="2026-11-24T11:30:00.000Z",
            count=3,
        ),
        created="2026-11-24T11:31:00.000Z",
    )
    doc["wardwatch"]["alert"] |= new_workflow()
    doc["event"]["url"] = "https://console.example/alerts/ward-202611-0123456789abcdef01234567"
    return doc


def told(doc: dict[str, Any] | None = None, kind: Kind = Kind.NEW, **more: Any) -> Told:
    names = {"en": "Ward hospital", "zh": "仁爱医院"}
    return Told("d" * 32, kind, "ward", names, ZoneInfo("Asia/Shanghai"), alert() if doc is None else doc, **more)


def post(*each: Told, lang: Any = "en", address: str = "") -> Post:
    items = each or (told(),)
    return Post(items[0].id, NOW, compose(items, lang), items, address)


def sent(server: Web, row: dict[str, Any], message: Post) -> dict[str, Any]:
    """Send over a channel of this row and return the JSON that came."""
    channels.send(channels.parse({"url": f"{server.url}/hook", **row}), message, HERE)
    body: dict[str, Any] = orjson.loads(server.requests[-1].body)
    return body


def openssl(key: bytes, content: bytes) -> str:
    """Return HMAC-SHA256 in Base64 as OpenSSL computes it."""
    run = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"],
        input=content,
        capture_output=True,
        check=True,
    )
    return base64.b64encode(run.stdout).decode()


def test_dingtalk_gets_the_signature_that_openssl_computes() -> None:
    with web() as server:
        row = {"kind": "dingtalk", "url": f"{server.url}/robot/send?access_token=t0ken", "secret": "SECabc"}
        body = sent(server, row, post(address="13800000000"))
    query = parse_qs(urlsplit(server.requests[0].path).query)
    assert query["access_token"] == ["t0ken"]
    assert query["timestamp"] == [str(int(NOW.timestamp() * 1000))]
    assert query["sign"] == [openssl(b"SECabc", f"{query['timestamp'][0]}\nSECabc".encode())]
    assert body["msgtype"] == "text"
    assert body["at"] == {"atMobiles": ["13800000000"], "isAtAll": False}
    assert "Failed logins" in body["text"]["content"]


def test_feishu_gets_the_signature_that_openssl_computes() -> None:
    with web() as server:
        body = sent(server, {"kind": "feishu", "secret": "s3cret"}, post(address="ou_1"))
    assert body["timestamp"] == str(int(NOW.timestamp()))
    assert body["sign"] == openssl(f"{body['timestamp']}\ns3cret".encode(), b"")
    content = body["content"]["post"]["zh_cn"]
    assert "Failed logins" in content["title"]
    assert content["content"][-1] == [{"tag": "at", "user_id": "ou_1"}]
    assert {element["tag"] for line in content["content"] for element in line} == {"text", "a", "at"}


def test_a_webhook_is_signed_as_standard_webhooks_say() -> None:
    with web() as server:
        sent(server, {"kind": "webhook", "secret": WHSEC}, post())
    (request,) = server.requests
    signed = b".".join([request.headers[f"webhook-{name}"].encode() for name in ("id", "timestamp")] + [request.body])
    assert request.headers["webhook-signature"] == f"v1,{openssl(b'k' * 32, signed)}"
    assert request.headers["webhook-id"] == "d" * 32


def test_the_example_of_standard_webhooks_has_its_signature() -> None:
    """The example that the specification's own libraries test: same secret, id, time and body."""
    from enrich.notify.kinds.webhook import sign

    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


def test_a_webhook_carries_a_detection_finding_that_the_schema_takes() -> None:
    with web() as server:
        body = sent(server, {"kind": "webhook", "secret": WHSEC, "format": "ocsf"}, post())
    found = DetectionFinding.model_validate(body)
    assert (found.class_uid, found.type_uid, found.severity_id) == (2004, 200401, 4)
    assert found.metadata.tenant_uid == "ward"
    assert found.finding_info.uid == "ward-202611-0123456789abcdef01234567"
    assert body["time"] == int(datetime(2026, 11, 24, 11, 31, tzinfo=UTC).timestamp() * 1000)
    assert "tok_group_value" not in server.requests[0].body.decode()


def test_a_request_of_a_hospital_is_own_json_also_where_ocsf_is_asked_for() -> None:
    request = Told("e" * 32, Kind.REQUEST, "ward", {}, ZoneInfo("UTC"), {}, case="ward-7", actor="ward.it")
    with web() as server:
        body = sent(server, {"kind": "webhook", "secret": WHSEC, "format": "ocsf"}, post(request))
    assert body["type"] == "wardwatch.request"
    assert body["data"]["case"] == "ward-7"


@pytest.mark.parametrize("kind", ["dingtalk", "wecom", "feishu", "slack", "teams"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hostile_text_is_told_but_is_no_markup(kind: str, lang: str) -> None:
    with web() as server:
        for hostile in HOSTILE + PAYLOADS:
            item = told(alert(hostile))
            body = sent(server, {"kind": kind}, post(item, lang=lang))
            raw = orjson.dumps(body).decode()
            assert "://evil" not in raw.lower(), hostile[:80]
            assert not {"\x1b", "\x00", "\u202e", "\u2066", "\u200b"} & set(raw), hostile[:80]
            for element in markup(kind, body):
                assert not set("<>[]*`&|") & set(element.replace(item.alert["event"]["url"], "").strip("<>")), hostile[
                    :80
                ]


def markup(kind: str, body: dict[str, Any]) -> list[str]:
    """Return the texts of a message that its service reads as markup."""
    if kind == "slack":
        assert "<" not in body["text"]
        assert ">" not in body["text"]
        return [one["text"]["text"] for one in body["blocks"] if one["text"]["type"] != "plain_text"]
    if kind == "teams":
        (attached,) = body["attachments"]
        assert {one["type"] for one in attached["content"]["body"]} == {"RichTextBlock"}
        return []
    if kind == "wecom":
        assert body["msgtype"] == "text"
        assert not {"<", ">"} & set(body["text"]["content"])
        assert body["text"]["mentioned_list"] == []
        return []
    if kind == "feishu":
        lines = body["content"]["post"]["zh_cn"]["content"]
        assert all(one["tag"] in ("text", "a") for line in lines for one in line)
        return []
    assert (body["msgtype"], body["at"]) == ("text", {"atMobiles": [], "isAtAll": False})
    return []


@pytest.mark.parametrize(("kind", "limit"), [("wecom", 2048), ("dingtalk", 8000)])
def test_a_long_text_is_cut_to_what_the_robot_takes_with_the_link_kept(kind: str, limit: int) -> None:
    many = [told(alert("漏" * 400, sentence="<>" * 400)) for _ in range(30)]
    with web() as server:
        body = sent(server, {"kind": kind}, post(*many, lang="zh"))
        assert len(body["text"]["content"].encode()) <= limit
        one = sent(server, {"kind": kind}, post(many[0], lang="zh"))
    assert one["text"]["content"].endswith(many[0].alert["event"]["url"])


def test_slack_blocks_keep_to_their_lengths() -> None:
    many = [told(alert("x" * 400)) for _ in range(30)]
    with web() as server:
        body = sent(server, {"kind": "slack"}, post(*many))
    header, section = body["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000


@pytest.mark.parametrize(
    ("kind", "status", "answer", "error"),
    [
        ("dingtalk", 200, b'{"errcode": 310000, "errmsg": "sign not match"}', PeerRefused),
        ("dingtalk", 200, b'{"errcode": 130101, "errmsg": "send too fast"}', PeerUnavailable),
        ("wecom", 200, b'{"errcode": 93000}', PeerRefused),
        ("wecom", 200, b'{"errcode": 45009}', PeerUnavailable),
        ("feishu", 200, b'{"code": 19021}', PeerRefused),
        ("feishu", 200, b'{"code": 11232}', PeerUnavailable),
        ("feishu", 200, b"<html>a captive portal</html>", PeerUnavailable),
        ("slack", 400, b"invalid_payload", PeerRefused),
        ("slack", 429, b"", PeerUnavailable),
        ("teams", 502, b"", PeerUnavailable),
        ("teams", 302, b"", PeerRefused),
    ],
)
def test_what_a_service_refuses_is_not_sent_again_and_what_it_can_not_take_now_is(
    kind: str, status: int, answer: bytes, error: type[Exception]
) -> None:
    with web() as server:
        server.answers.append((status, answer, {}))
        with pytest.raises(error) as failed:
            sent(server, {"kind": kind}, post())
    assert "captive" not in str(failed.value)
    assert "hook" not in str(failed.value)


def test_every_kind_passes_the_address_guard() -> None:
    rows: dict[str, dict[str, Any]] = {
        "webhook": {"secret": WHSEC},
        "email": {"host": "127.0.0.1", "sender": "soc@example.org", "to": ["lin@example.org"]},
    }
    with web() as server:
        for kind in channels.KINDS:
            own = rows.get(kind, {})
            row = {"kind": kind, **({} if kind == "email" else {"url": f"{server.url}/"}), **own}
            with pytest.raises(PeerRefused):
                channels.send(channels.parse(row), post(), Outbound(OutboundSettings()))
        assert server.requests == []


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"kind": "fax"},
        {"kind": "slack"},
        {"kind": "slack", "url": "https://x/", "extra": 1},
        {"kind": "webhook", "url": "https://x/"},
        {"kind": "email", "host": "a b", "sender": "a@b.c"},
        {"kind": "email", "host": "x", "sender": "a@b.c\r\nBcc: d@e.f"},
        {"kind": "email", "host": "x", "sender": "a@b.c", "to": ["a@b.c, d@e.f"]},
    ],
)
def test_a_wrong_row_is_refused_without_telling_its_secrets(row: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        channels.parse({**row, "password": "hunter2"} if row.get("kind") == "slack" else row)
    assert "hunter2" not in str(refused.value)
    assert "https" not in str(refused.value)


def test_secrets_are_not_shown_by_a_channel() -> None:
    row = channels.parse({"kind": "dingtalk", "url": "https://x/?access_token=t0ken", "secret": "SECabc"})
    assert "t0ken" not in repr(row)
    assert "SECabc" not in repr(row)


def test_a_message_has_nothing_of_the_events() -> None:
    doc = alert()
    doc["wardwatch"]["alert"]["matched"] = [{"field": "user.name", "values": ["zhang san"]}]
    doc["related"] = {"user": ["zhang san"], "ip": ["10.3.1.5"]}
    for lang in ("en", "zh"):
        message = compose([told(doc, due_at="2026-11-24T12:00:00.000Z", actor="lin")], lang)
        text = message.text(10_000)
        assert "zhang" not in text
        assert "10.3.1.5" not in text
        assert "tok_group_value" not in text
        assert "2026-11-24 20:00" in text
    assert message.subject == "[高] 新告警：Failed logins"


def test_an_address_that_is_not_the_consoles_is_not_told() -> None:
    for url in ("javascript:alert(1)", "https://x/ y", "https://x/\n", "ftp://x"):
        doc = alert()
        doc["event"]["url"] = url
        assert compose([told(doc)], "en").url == ""


def test_a_digest_tells_the_worst_first_and_how_many_more() -> None:
    low = [told(alert(f"low {n}", severity=Severity.LOW)) for n in range(30)]
    message = compose([*low, told(alert("worst", severity=Severity.CRITICAL))], "en")
    assert message.subject == "wardwatch: 31 notices: New alert 31"
    assert message.lines[0] == "[critical] New alert: worst (Ward hospital)"
    assert message.lines[-1] == "… and 11 more in the console"


def test_messages_of_both_languages_exist_for_every_kind() -> None:
    for kind in Kind:
        assert compose([told(kind=kind)], "en").subject != compose([told(kind=kind)], "zh").subject
