"""The scrub: what identifies a patient or a member of staff becomes a token before the event leaves the hospital."""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What the scrub does with one field."""

    PATIENT = "pt"  # token of a patient's identifier or name
    STAFF = "st"  # token of a staff member's account or name
    ENCOUNTER = "en"  # token of a visit or order number
    STUDY = "sd"  # token of a study, accession or instance UID
    DROP = "drop"
    TEXT = "text"  # free text: identifiers inside it are replaced
