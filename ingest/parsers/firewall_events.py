"""How firewalls' events are categorised, whoever made the firewall."""

from __future__ import annotations

from ingest.parsers.fields import classify
from ingest.parsers.networks import direction
from wardwatch.event import Document


def traffic(doc: Document, *, denied: bool) -> None:
    """Set a connection that the policy let pass or refused."""
    verdict, outcome = ("denied", "failure") if denied else ("allowed", "success")
    classify(doc, "network", ["connection", verdict], f"firewall-{verdict}", outcome)
    towards(doc)


def session(doc: Document, *, ended: bool) -> None:
    """Set a connection's start or end."""
    kind = "end" if ended else "start"
    classify(doc, "network", ["connection", kind], f"session-{kind}", "success")
    towards(doc)


def threat(doc: Document, category: str, action: str, *, denied: bool) -> None:
    """Set an alert of an intrusion prevention or a virus scanner."""
    doc["event.kind"] = "alert"
    classify(doc, [category, "network"], "denied" if denied else "info", action)
    towards(doc)


def web(doc: Document, *, denied: bool) -> None:
    """Set a page that a filter let pass or refused."""
    classify(doc, ["web", "network"], ["access", "denied" if denied else "allowed"], "url-filter")
    doc["event.outcome"] = "failure" if denied else "success"
    towards(doc)


def login(doc: Document, *, failed: bool = False, ended: bool = False, where: str = "firewall") -> None:
    """Set a login or logout of an administrator or a user of the VPN."""
    kind = "end" if ended else "info" if failed else "start"
    action = f"{where}-logout" if ended else f"{where}-login"
    classify(doc, "authentication", kind, action, "failure" if failed else "success")


def command(doc: Document, *, failed: bool = False) -> None:
    """Set a change of the firewall's configuration."""
    classify(doc, "configuration", "change", "firewall-command", "failure" if failed else "success")


def towards(doc: Document) -> None:
    """Set the direction of traffic as the hospital sees it."""
    found = direction(doc.get("source.ip", ""), doc.get("destination.ip", ""))
    if found:
        doc.setdefault("network.direction", found)
