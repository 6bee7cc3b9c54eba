"""What a security device means by an event that it names in its own words, English or Chinese."""

from __future__ import annotations

import re
from functools import lru_cache

from ingest.parsers.fields import classify
from ingest.parsers.networks import direction
from wardwatch.event import Document

_REFUSED = re.compile(
    r"den(?:y|ied)|block|drop|reset|discard|refuse|reject|prevent|quarantin|clean|delet|"
    r"拒绝|阻断|阻止|拦截|丢弃|隔离|禁止|封锁|清除|删除",
    re.I,
)
_ALLOWED = re.compile(r"allow|permit|accept|pass|detect|monitor|alert|log|允许|放行|通过|告警|记录|检测", re.I)
_FAILED = re.compile(r"fail|invalid|wrong|incorrect|unsuccess|失败|错误|锁定", re.I)
_ENDED = re.compile(r"log(?:ged)?[ _-]?(?:out|off)|disconnect|登出|注销|下线|退出", re.I)
_MEANINGS = (
    (re.compile(r"virus|malware|trojan|worm|ransom|病毒|木马|恶意(?:软件|程序|代码|文件)|蠕虫|勒索", re.I), "malware"),
    (re.compile(r"\blog[ -]?(?:i|o)n|logout|authenticat|\bauth|password|登录|登陆|认证|登出|注销|口令", re.I), "login"),
    (
        re.compile(
            r"intrusion|attack|exploit|(?<![a-z])(?:ips|ids|waf|dos|ddos)(?![a-z])|injection|\bxss\b|webshell|botnet|scan|漏洞|攻击|入侵|注入|扫描|僵尸",
            re.I,
        ),
        "intrusion",
    ),
    (re.compile(r"\burl\b|\bweb\b|http|网站|网页", re.I), "web"),
    (
        re.compile(
            r"firewall|traffic|connection|session|flow|\bacl\b|nat\b|访问控制|流量|会话|策略命中|应用控制", re.I
        ),
        "traffic",
    ),
    (re.compile(r"config|setting|polic|admin|upgrade|配置|策略|管理|升级|操作", re.I), "configuration"),
    (re.compile(r"\bfile\b|文件", re.I), "file"),
)
_SIGMA = {"malware": "antivirus", "web": "proxy", "traffic": "firewall"}


def explain(doc: Document, name: str, action: str, outcome: str = "") -> str:
    """Set the categories of an event by its ``name``, the device's ``action`` and ``outcome``; return Sigma's category.

    The device's words are looked for in the order of what matters most: malware, logins, attacks, the web, traffic.
    """
    meaning = _meaning(name) if len(name) <= _REMEMBERED else _meaning.__wrapped__(name)
    if not meaning:
        meaning = "traffic" if "source.ip" in doc and "destination.ip" in doc else "other"
    refused = _REFUSED.search(action) is not None
    if meaning in ("malware", "intrusion"):
        doc["event.kind"] = "alert"
    if meaning == "login":
        _login(doc, f"{name} {action} {outcome}")
    else:
        category, kind, does = _CATEGORIES[meaning]
        verdict = ["denied"] if refused else ["allowed"] if _ALLOWED.search(action) and kind != "change" else []
        classify(doc, category, [kind, *verdict], does)
        if verdict or outcome:
            doc["event.outcome"] = "failure" if refused or _FAILED.search(outcome) else "success"
    found = direction(doc.get("source.ip", ""), doc.get("destination.ip", ""))
    if found:
        doc.setdefault("network.direction", found)
    return _SIGMA.get(meaning, "")


_CATEGORIES: dict[str, tuple[list[str], str, str]] = {
    "malware": (["malware"], "info", "malware-detected"),
    "intrusion": (["intrusion_detection", "network"], "info", "intrusion-detected"),
    "web": (["web", "network"], "access", "web-access"),
    "traffic": (["network"], "connection", "network-connection"),
    "configuration": (["configuration"], "change", "configuration-change"),
    "file": (["file"], "access", "file-access"),
    "other": (["host"], "info", "device-event"),
}


@lru_cache(maxsize=4096)
def _meaning(name: str) -> str:
    return next((meaning for pattern, meaning in _MEANINGS if pattern.search(name)), "")


_REMEMBERED = 256  # characters of a name


def _login(doc: Document, words: str) -> None:
    failed = _FAILED.search(words) or _REFUSED.search(words)
    ended = _ENDED.search(words)
    kind = "end" if ended else "info" if failed else "start"
    classify(doc, "authentication", kind, "logout" if ended else "login", "failure" if failed else "success")
