"""Sangfor AF (NGAF) firewalls: ``fwlog: 日志类型:…, 源IP:…, 目的IP:…, 系统动作:…`` in syslog, UTF-8 or GBK.

Source: no manual of the vendor's could be had; the names are those of logs that public parsers were tested with
(AF 7 and 8: application control, WAF, IPS, DoS, virus, botnet, traffic and system logs). Other names are
not copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.parsers.device_events import explain
from ingest.parsers.fields import fill, put
from ingest.parsers.header import header
from ingest.scrub import Action
from wardwatch.errors import ParseError
from wardwatch.event import Document, LogSource

_STEP = "sangfor_af"
_LOG = re.compile(r"(?:fwlog: ?)?日志类型[:：](.*)", re.S)
_PAIR = re.compile(r"(?:^|[,，]) ?([\w/()（）]{1,24})[:：]")
_NAMES: Mapping[str, str] = {
    "源IP": "source.ip",
    "源端口": "source.port",
    "目的IP": "destination.ip",
    "目的端口": "destination.port",
    "源区域": "observer.ingress.zone",
    "目的区域": "observer.egress.zone",
    "用户": "user.name",
    "用户名": "user.name",
    "用户名/主机": "user.name",
    "策略名称": "rule.name",
    "规则ID": "rule.id",
    "协议": "network.transport",
    "应用名称": "network.application",
    "应用类型": "rule.category",
    "攻击类型": "rule.category",
    "漏洞名称": "threat.signature.name",
    "病毒名": "threat.signature.name",
    "病毒名称": "threat.signature.name",
    "漏洞ID": "threat.signature.id",
    "严重级别": "threat.severity",
    "严重等级": "threat.severity",
    "系统动作": "rule.action",
    "动作": "rule.action",
    "URL": "url.original",
    "域名": "url.domain",
    "文件名": "file.name",
    "IP地址": "source.ip",
    "主机IP": "source.ip",
}


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a log; raises ParseError when it has no ``日志类型:``."""
    frame = text(record.data, site.charset)
    found = _LOG.search(frame)
    if not found:
        raise ParseError("no 日志类型: of a Sangfor log", step=_STEP)
    values = _values(f"日志类型:{found[1]}")
    time, name = header(frame[: found.start()], record, site, step=_STEP)
    doc: Document = {
        "@timestamp": time,
        "event.kind": "event",
        "event.module": "sangfor",
        "event.dataset": "sangfor.af",
        "event.code": values["日志类型"][:64],
        "observer.vendor": "Sangfor",
        "observer.product": "AF",
        "observer.type": "firewall",
    }
    put(doc, "observer.name", name)
    if values.get("URL"):
        values["URL"] = f"//{values['URL']}"
    fill(doc, values, _NAMES)
    words = " ".join(values.get(name, "") for name in ("日志类型", "攻击类型", "操作类型"))
    category = explain(doc, words, str(doc.get("rule.action", "")), values.get("操作结果", ""))
    return [Parsed(doc, LogSource("sangfor", category or "firewall", "af"))]


def _values(log: str) -> dict[str, str]:
    names = list(_PAIR.finditer(log))
    ends = [name.start() for name in names[1:]] + [len(log)]
    return {name[1]: log[name.end() : end].strip() for name, end in zip(names, ends, strict=True)}


PARSER = Parser(
    "sangfor_af",
    lines,
    parse,
    {"user.name": Action.STAFF, "url.original": Action.URL, "file.name": Action.MASK, "event.code": Action.TEXT},
    title="Sangfor AF firewalls",
    reads="application control, WAF, IPS, DoS, virus, traffic and system logs (日志类型:…) by syslog",
    logsources=(LogSource("sangfor", "*", "af"),),
)
