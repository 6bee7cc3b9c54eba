"""What a notice says, in English or Chinese.

Of an alert only its scrubbed title and sentence, severity, priority, hospital, deadline and address are told, never
a field of an event. Texts come from logs, so an attacker may have written them: they are one line each, control and
bidirectional marks are made visible, and addresses in them are broken so that no client makes a link of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from enrich.notify.notice import Kind
from wardwatch.alert import Severity, priority_level
from wardwatch.errors import RecordError
from wardwatch.event import parse_time
from wardwatch.text import safe_text

Lang = Literal["en", "zh"]
DIGEST_LINES = 20

_KINDS: dict[Lang, dict[Kind, str]] = {
    "en": {
        Kind.NEW: "New alert",
        Kind.SILENT: "Log source silent",
        Kind.RECOVERED: "Log source heard again",
        Kind.SOON: "Deadline near",
        Kind.BREACHED: "Deadline passed",
        Kind.ASSIGNED: "Assigned to you",
        Kind.ESCALATED: "Escalated",
        Kind.REQUEST: "Request from the hospital",
        Kind.RULE_FAULT: "False positive: the rule's logic",
        Kind.DATA_FAULT: "False positive: the source's data",
        Kind.TRIAL: "Test message",
    },
    "zh": {
        Kind.NEW: "新告警",
        Kind.SILENT: "日志来源静默",
        Kind.RECOVERED: "日志来源恢复",
        Kind.SOON: "即将超时",
        Kind.BREACHED: "已超时",
        Kind.ASSIGNED: "已指派给您",
        Kind.ESCALATED: "已升级",
        Kind.REQUEST: "医院请求",
        Kind.RULE_FAULT: "误报：规则逻辑有误",
        Kind.DATA_FAULT: "误报：来源数据有误",
        Kind.TRIAL: "测试消息",
    },
}
_SEVERITIES: dict[Lang, dict[Severity, str]] = {
    "en": {each: each.value for each in Severity},
    "zh": {
        Severity.CRITICAL: "严重",
        Severity.HIGH: "高",
        Severity.MEDIUM: "中",
        Severity.LOW: "低",
        Severity.INFORMATIONAL: "信息",
    },
}
_LABELS: dict[Lang, dict[str, str]] = {
    "en": {
        "hospital": "Hospital: {}",
        "level": "Severity: {}, priority {}",
        "due": "Due: {}",
        "actor": "By: {}",
        "case": "Case: {}",
        "digest": "{} notices: {}",
        "more": "… and {} more in the console",
        "test": "wardwatch: test of channel {}",
        "works": "This channel works.",
        "colon": ": ",
    },
    "zh": {
        "hospital": "医院：{}",
        "level": "级别：{}，优先级 {}",
        "due": "截止：{}",
        "actor": "操作人：{}",
        "case": "工单：{}",
        "digest": "{} 条通知：{}",
        "more": "……另有 {} 条，请在控制台查看",
        "test": "wardwatch：渠道 {} 测试",
        "works": "该渠道可用。",
        "colon": "：",
    },
}


@dataclass(frozen=True, slots=True)
class Message:
    """A subject, lines of text and the address of the console's page, or ""; all are safe to show as plain text."""

    subject: str
    lines: tuple[str, ...]
    url: str = ""

    def text(self, limit_bytes: int) -> str:
        """Return all in lines, cut to so many bytes of UTF-8 with the address kept whole."""
        tail = f"\n{self.url}" if self.url else ""
        body = "\n".join((self.subject, *self.lines)).encode()
        room = limit_bytes - len(tail.encode())
        cut = body if len(body) <= room else body[: room - 3] + "…".encode()
        return cut.decode(errors="ignore") + tail


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery with what it is about: the alert's document, {} where there is none."""

    id: str
    kind: Kind
    tenant: str
    hospital: Mapping[str, str]
    zone: ZoneInfo
    alert: Mapping[str, Any]
    case: str = ""
    due_at: str = ""
    person: str = ""
    actor: str = ""

    @property
    def severity(self) -> Severity:
        """The alert's severity; that of a request is high."""
        own = self.alert.get("wardwatch", {}).get("alert", {})
        return Severity(own["severity"]) if own.get("severity") in set(Severity) else Severity.HIGH


def compose(told: Sequence[Told], lang: Lang) -> Message:
    """Return the message of one delivery, or the digest of several."""
    return _single(told[0], lang) if len(told) == 1 else _digest(told, lang)


def trial(channel: str, lang: Lang) -> Message:
    """Return the message by which a channel is tried."""
    words = _LABELS[lang]
    return Message(words["test"].format(clean(channel, 100)), (words["works"],))


def clean(text: str, limit: int) -> str:
    """Return hostile text as one safe line without addresses that a client would make a link of."""
    return safe_text(" ".join(text.split()), limit=limit).replace("://", "[:]//").replace("www.", "www[.]")


def _single(told: Told, lang: Lang) -> Message:
    words, own = _LABELS[lang], told.alert.get("wardwatch", {}).get("alert", {})
    lines = [words["works"] if told.kind is Kind.TRIAL else words["hospital"].format(_hospital(told, lang))]
    if own:
        level = priority_level(int(own.get("priority") or 0))
        lines += [clean(_in(own.get("sentence"), lang), 600)]
        lines += [words["level"].format(_SEVERITIES[lang][told.severity], level)]
    if told.due_at:
        lines.append(words["due"].format(_local(told)))
    if told.actor:
        lines.append(words["actor"].format(clean(told.actor, 64)))
    if told.case:
        lines.append(words["case"].format(clean(told.case, 100)))
    return Message(_headline(told, lang), tuple(filter(None, lines)), _url(told))


def _digest(told: Sequence[Told], lang: Lang) -> Message:
    words = _LABELS[lang]
    counts = Counter(each.kind for each in told)
    summary = ", ".join(f"{_KINDS[lang][kind]} {count}" for kind, count in counts.most_common())
    worst = sorted(told, key=lambda each: -each.severity.number)
    lines = [f"{_headline(each, lang)} ({_hospital(each, lang)})" for each in worst[:DIGEST_LINES]]
    if len(told) > DIGEST_LINES:
        lines.append(words["more"].format(len(told) - DIGEST_LINES))
    return Message(f"wardwatch{words['colon']}" + words["digest"].format(len(told), summary), tuple(lines))


def _headline(told: Told, lang: Lang) -> str:
    own = told.alert.get("wardwatch", {}).get("alert", {})
    title = clean(_in(own.get("title"), lang), 200)
    level = "" if told.kind is Kind.TRIAL else f"[{_SEVERITIES[lang][told.severity]}] "
    kind = level + _KINDS[lang][told.kind]
    return f"{kind}{_LABELS[lang]['colon']}{title}" if title else kind


def _hospital(told: Told, lang: Lang) -> str:
    return clean(told.hospital.get(lang) or told.hospital.get("en") or told.tenant, 100)


def _local(told: Told) -> str:
    try:
        return f"{parse_time(told.due_at).astimezone(told.zone):%Y-%m-%d %H:%M %Z}"
    except (ValueError, RecordError):
        return clean(told.due_at, 40)


def _in(texts: object, lang: Lang) -> str:
    if not isinstance(texts, Mapping):
        return ""
    return str(texts.get(lang) or texts.get("en") or "")


def _url(told: Told) -> str:
    """Return the alert's page in the console: our own address, or "" for anything else."""
    url = str(told.alert.get("event", {}).get("url") or "")
    return (
        url
        if url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and " " not in url
        else ""
    )
