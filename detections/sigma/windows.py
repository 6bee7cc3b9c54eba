"""Names of SigmaHQ's Windows rules → names of our events (docs/decisions/0004-log-source.md)."""

from __future__ import annotations

import re

FIELDS = {
    "EventID": "winlog.event_id",
    "Channel": "winlog.channel",
    "Provider_Name": "winlog.provider_name",
    "Computer": "winlog.computer_name",
}
USER_DATA = frozenset(
    {"applocker", "printservice-admin", "printservice-operational", "terminalservices-localsessionmanager", "wmi"}
)
"""Services whose events carry ``UserData`` in place of ``EventData``."""

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def event_field(name: str, service: str = "") -> str:
    """Return the event's field for that of a rule on a Windows service.

    Dotted names and ``@timestamp`` are ours already. Defender writes its names in words (``Threat Name``), which rules
    write as one (``ThreatName``).
    """
    if "." in name or name.startswith("@"):
        return name
    if name in FIELDS:
        return FIELDS[name]
    place = "user_data" if service in USER_DATA else "event_data"
    return f"winlog.{place}.{_WORD.sub(' ', name) if service == 'windefend' else name}"
