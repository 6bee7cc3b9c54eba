"""Names of SigmaHQ's Windows rules → names of our events (docs/rules/fields.md)."""

from __future__ import annotations

FIELDS = {
    "EventID": "winlog.event_id",
    "Channel": "winlog.channel",
    "Provider_Name": "winlog.provider_name",
    "Computer": "winlog.computer_name",
}


def event_field(name: str) -> str:
    """Return the event's field for a rule's: dotted names and ``@timestamp`` are ours already."""
    if "." in name or name.startswith("@"):
        return name
    return FIELDS.get(name) or f"winlog.event_data.{name}"
