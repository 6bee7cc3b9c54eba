"""The scrub: what identifies a patient or a member of staff becomes a token before the event leaves the hospital.

A source's policy names the fields and what is done with each. A value that can't be scrubbed is a ScrubError: the
record stays in the hospital.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from ingest import masking
from wardwatch.errors import ScrubError
from wardwatch.event import Document

POLICY_VERSION = "p1"
LEVEL_ANONYMOUS = 2  # GB/T 39725-2020: no individual identifiable
LEVEL_PSEUDONYMOUS = 3  # GB/T 39725-2020: de-identified, but may be re-identified


class Action(Enum):
    """What the scrub does with one field."""

    PATIENT = "pt"  # token of a patient's identifier or name
    STAFF = "st"  # token of a staff member's account or name
    ENCOUNTER = "en"  # token of a visit or order number
    STUDY = "sd"  # token of a study, accession or instance UID
    DROP = "drop"
    TEXT = "text"  # free text: identifiers inside it are replaced
    URL = "url"  # an address or its path: the route stays, of values only their shape (masking.py)
    QUERY = "query"  # an address's query, alike
    MASK = "mask"  # a name of a file or program: printable ASCII stays, without long numbers
    COMMAND = "command"  # a command: alike, and without what stands in quotes


class Tokens(Protocol):
    """A source of stable tokens; ``kind`` is the value of a token Action and becomes the token's prefix."""

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value, the same for the same kind and value: ``pt_`` and 24 hexadecimal digits."""

    def commit(self) -> None:
        """Make every token handed out durable; called before an event that carries one is spooled."""


_PATIENT_BOUND = {Action.PATIENT.value, Action.ENCOUNTER.value, Action.STUDY.value}
_TOKEN = re.compile(r"(pt|st|en|sd)_[0-9a-f]{24}")


def scrub(doc: Document, policy: Mapping[str, Action], tokens: Tokens) -> Document:
    """Return the document without what identifies a person, with ``privacy.*`` saying what was done.

    Every value of a policy's field, alone or in a list, is text or a whole number; an empty one and None carry nothing
    and leave with their field. A value that is a token already stays. Raises ScrubError for any other type.
    """
    clean = dict(doc)
    kinds: set[str] = set()
    for name in policy.keys() & doc.keys():
        value = _scrubbed(name, clean.pop(name), policy[name], tokens, kinds)
        if value is not None and value != []:
            clean[name] = value
    clean["privacy.policy_version"] = POLICY_VERSION
    clean["privacy.level"] = LEVEL_PSEUDONYMOUS if kinds & _PATIENT_BOUND else LEVEL_ANONYMOUS
    if kinds:
        clean["privacy.tokens"] = sorted(kinds)
    return clean


def _scrubbed(name: str, value: object, action: Action, tokens: Tokens, kinds: set[str]) -> object:
    if action is Action.DROP:
        return None
    if isinstance(value, list):
        done = (_replaced(name, item, action, tokens, kinds) for item in value)
        return [item for item in done if item is not None]
    return _replaced(name, value, action, tokens, kinds)


def _replaced(name: str, value: object, action: Action, tokens: Tokens, kinds: set[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ScrubError(f"{name} is {type(value).__name__}, not text", step="scrub")
    text = str(value).strip()
    if not text:
        return None
    if action in _REDUCTIONS:
        return _REDUCTIONS[action](text)
    kinds.add(action.value)
    known = _TOKEN.fullmatch(text)
    return text if known and known[1] == action.value else tokens.token(action.value, text)


def scrub_text(text: str) -> str:
    """Return free text with the identifiers in it replaced by their kind: ``[id]``, ``[phone]``, ``[name]``…

    Finds identity numbers (GB 11643-1999, 18 digits with the ISO 7064 MOD 11-2 check, and the older 15), telephone
    numbers of China, e-mail addresses, and by the words before them record and insurance numbers, names, addresses.
    """
    text = text.translate(_FULL_WIDTH)
    if "@" in text:  # half of the time of all patterns, for what few texts have
        text = _EMAIL.sub("[email]", text)
    for pattern, replacement in _IDENTIFIERS:
        text = pattern.sub(replacement, text)
    return text


_REDUCTIONS: Mapping[Action, Callable[[str], str]] = {
    Action.TEXT: scrub_text,
    Action.URL: masking.url,
    Action.QUERY: masking.query,
    Action.MASK: lambda text: masking.masked(scrub_text(text)),
    Action.COMMAND: lambda text: masking.command(scrub_text(text)),
}


def is_identity_number(digits: str) -> bool:
    """Say whether 18 characters pass the check of a resident identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    weighed = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits[:17]))
    return "10X98765432"[weighed % 11] == digits[17].upper()


def _identity(found: re.Match[str]) -> str:
    return "[id]" if is_identity_number(found[0]) else found[0]


_FULL_WIDTH = str.maketrans("０１２３４５６７８９", "0123456789")
_NUMBER_WORDS = (
    "病历号码?|病案号码?|住院号码?|门诊号码?|就诊卡号?码?|就诊号|登记号|身份证号?码?|医保卡?号?码?|医疗保险号码?|社保卡?号?码?|"
    r"\bMRN|\bmedical[ _-]?record(?:[ _-]?(?:no|number))?|\bpatient[ _-]?(?:id|no|number)|"
    r"\binsurance[ _-]?(?:id|no|number)|\bID[ _-]?card"
)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IDENTIFIERS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9])"), _identity),
    (re.compile(r"(?<![0-9])[1-9][0-9]{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}(?![0-9])"), "[id]"),
    (re.compile(r"(?<![0-9])(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9])"), "[phone]"),
    (re.compile(r"(?<![0-9])(?:0[0-9]{2,3}[- ]|\(0[0-9]{2,3}\) ?)[0-9]{7,8}(?:-[0-9]{1,6})?(?![0-9])"), "[phone]"),
    (
        re.compile(rf"({_NUMBER_WORDS})(\s{{0,4}}(?:[:：=#]|为|是)?\s{{0,4}})[A-Z0-9][A-Z0-9-]{{3,31}}", re.I),
        r"\1\2[record]",
    ),
    (
        re.compile(r"((?:家庭|联系|现|户籍)?[地住]址|\baddress)(\s{0,4}[:：=]\s{0,4})[^\s,，;；。|]{2,80}", re.I),
        r"\1\2[address]",
    ),
    (
        re.compile(
            "((?:患者|病人|病员|产妇|患儿)?姓名|患者|病人|病员|产妇|患儿|(?i:patient[ _-]?name))"
            r"(\s{0,4}[:：=为]?\s{0,4})(?!姓名|信息|列表|登记|数据)[\u3400-\u9fff·]{2,4}"
        ),
        r"\1\2[name]",
    ),
    (
        re.compile(
            r"(?i:(\bpatient[ _-]?name|\bpatient|\bsurname))(\s{0,4}[:=]\s{0,4})"
            r"[^\W\d_][\w'’.-]{0,40}(?:, ?[A-Z][\w'’.-]{0,40})?(?:[ ^]{1,2}[A-Z][\w'’.-]{0,40}){0,3}"
        ),
        r"\1\2[name]",
    ),
)
