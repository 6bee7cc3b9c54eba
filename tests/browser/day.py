"""A provider's day in two hospitals and the week before it, for pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dashboards import service
from dashboards.auth.people import Role, new_person
from dashboards.cases import evidence, requests, work
from dashboards.cases.case import RequestKind
from dashboards.cases.work import AlertRef
from dashboards.workflow import read, state_of
from tests.dashboards.site import PASSWORD, STORIES, Story, clock, document, write
from wardwatch.alert import Severity
from wardwatch.event import rfc3339
from wardwatch.store import AlertWrite, Scope, Store

if TYPE_CHECKING:
    from dashboards.console import Console
    from dashboards.service import Table
    from wardwatch.event import Document

SCOPE = Scope("pictures")


def story(rule: str, en: str, zh: str, priority: int, **more: object) -> Story:
    """Return an alert whose sentence nobody opens."""
    severity = Severity.HIGH if priority >= 60 else Severity.MEDIUM if priority >= 40 else Severity.LOW
    words = {"en": en, "zh": zh}
    return Story(rule, words, words, priority=priority, severity=severity, **more)  # type: ignore[arg-type]


DAY = [
    *STORIES,
    story("dicom_mass_retrieval", "Mass retrieval of DICOM images", "DICOM 影像批量外取", 83,
          entities={"source": {"ip": "10.3.9.7"}, "destination": {"ip": "10.3.6.77"}}, count=3, minutes_ago=26),
    story("firewall_medical_device_to_internet", "Medical device talks to the Internet", "医疗设备访问互联网", 68,
          entities={"source": {"ip": "10.3.8.31"}}, count=12, technique="T1071", minutes_ago=41),
    story("windows_defender_disabled", "Microsoft Defender real-time protection is off", "Defender 实时防护被关闭", 66,
          entities={"host": {"name": "his-db-02"}}, count=1, technique="T1562.001", minutes_ago=23),
    story("dicom_emergency_override", "Emergency override (break glass) started", "启动紧急越权访问", 58,
          entities={"user": {"id": "st_a07e"}}, tenant="renai", count=2, technique="T1078", minutes_ago=75),
    story("hl7_unknown_sender", "HL7 message from an unknown machine", "未登记设备发送 HL7 消息", 52,
          entities={"source": {"ip": "10.7.2.19"}}, tenant="renai", count=38, technique="T1557", minutes_ago=96),
    story("silent_source", "Source has gone silent: PACS audit", "日志静默：PACS 审计", 47,
          entities={"host": {"name": "pacs1"}}, count=1, technique="T1562", minutes_ago=31),
    story("mysql_export", "Database content exported", "数据库内容导出", 44,
          entities={"user": {"id": "st_77d0"}, "host": {"name": "his-db-02"}}, technique="T1005", minutes_ago=140),
    story("dicom_association_rejected", "DICOM association or node refused", "DICOM 关联或节点被拒绝", 35,
          entities={"source": {"ip": "10.7.4.12"}}, tenant="renai", count=9, technique="T1046", minutes_ago=210),
    story("linux_sudo_denied", "sudo used by an account that is not in sudoers", "无权账号使用 sudo", 31,
          entities={"user": {"name": "ops"}, "host": {"name": "his-app"}}, count=2, technique="T1548", minutes_ago=260),
]  # fmt: skip
_TAKEN = ("windows_defender_disabled", "dicom_emergency_override")
_CLOSED = ("linux_sudo_denied",)


def fill(store: Store) -> None:
    """Write the day over a seeded store, partly worked."""
    write(store, *DAY[len(STORIES):])  # fmt: skip
    now = rfc3339(datetime.now(UTC))
    for told in DAY:
        if told.rule in _TAKEN:
            _work(store, told.id, {"status": "acknowledged", "assignee": "lin", "ack_at": now})
        elif told.rule in _CLOSED:
            verdict = {"status": "closed", "verdict": "benign_positive", "assignee": "lin", "closed_at": now}
            _work(store, told.id, verdict)


VERDICTS = [
    ("linux_sudo_denied", "benign_positive", ""),
    ("dicom_mass_retrieval", "false_positive_logic", "夜间备份任务，应排除备份服务器"),
    ("mysql_export", "benign_positive", ""),
    ("hl7_unknown_sender", "false_positive_data", "HIS 升级后发送方名称为空"),
    ("windows_defender_disabled", "true_positive", "安装勒索软件前关闭防护，已隔离"),
    ("dicom_emergency_override", "benign_positive", ""),
    ("dicom_mass_retrieval", "duplicate", ""),
]
"""What alerts of the week before were closed as, again and again: rule, verdict, note."""


def fill_week(store: Store) -> None:
    """Write the closed alerts of the week before."""
    by_rule = {told.rule: told for told in DAY}
    for number in range(56):
        rule, verdict, note = VERDICTS[number % len(VERDICTS)]
        told = replace(by_rule[rule], group=f"week {number}", minutes_ago=1500 + 150 * number)
        doc = document(told)
        doc["event"]["dataset"] = rule.partition("_")[0]
        doc["wardwatch"]["alert"]["first_seen"] = rfc3339(told.start - timedelta(seconds=20 + 7 * number))
        store.alerts.write([AlertWrite(told.id, doc, None, clock(told))])
        taken, closed = (rfc3339(told.start + timedelta(minutes=m)) for m in (2 + number % 19, 9 + 3 * number % 71))
        times = {"ack_at": taken, "decided_at": closed, "closed_at": closed}
        _work(store, told.id, {"status": "closed", "assignee": "lin", "verdict": verdict, "reason": note, **times})


def open_case(console: Console) -> str:
    """Make a case of an alert of the day, worked on by both teams; return its id."""
    store, lin = console.store, console.people.get("lin")
    alert = next(told.id for told in DAY if told.rule == "dicom_mass_retrieval")
    ref = AlertRef(alert, state_of(read(store, lin, alert).doc))
    case = work.escalate(store, lin, [ref], console.clock, "zh").case
    work.note(store, lin, case.id, "10.3.9.7 是放射科新装的工作站，尚未登记。")
    requests.ask(
        store, lin, case.id, RequestKind.QUESTION, "请确认 10.3.9.7 由谁使用，是否有外取影像的授权。", console.clock
    )
    return evidence.add(store, lin, case.id, "query-retrieve.csv", b"time,ae,study\n").id


ROWS: list[tuple[Table, str, str, Document]] = [
    ("channels", "", "soc", {"kind": "dingtalk", "url": "file:soc-robot", "secret": "file:soc-robot-secret"}),
    ("channels", "", "mail", {"kind": "email", "host": "mail.example.org", "sender": "soc@example.org", "lang": "en"}),
    ("routes", "", "urgent", {"to": ["channel:soc", "on_call"], "severity": "high"}),
    ("routes", "renai", "office", {"to": ["channel:mail"], "events": ["request"], "when": "business"}),
]
"""Rows that run the service: table, hospital, name."""


def run_service(console: Console, chief: str) -> None:
    """Write the rows as an administrator, who is added, and who has changed a few things."""
    console.people.add(new_person(chief, PASSWORD, Role.ADMIN, []))
    admin = console.people.get(chief)
    for table, tenant, key, row in ROWS:
        service.put(console.store, console.tables, admin, table, tenant, key, dict(row))
    service.try_channel(console.store, console.tables, admin, "", "soc")


def _work(store: Store, alert: str, changes: dict[str, str]) -> None:
    version = store.alerts.get(SCOPE, [alert])[alert].version
    store.alerts.workflow(SCOPE, alert, changes, version=version)
