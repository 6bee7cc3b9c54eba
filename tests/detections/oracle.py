"""A deliberately naive evaluator of pySigma's parsed tree: no index, no cache, no compilation, own text matching.

pySigma parses with its own modifiers, but for those that it gets wrong or that would be shared with the engine
(encodings, dashes, large integers): these are written here once more, in another way. Placeholders are filled in the
YAML before it is parsed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, tzinfo
from fnmatch import fnmatchcase
from fractions import Fraction
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from itertools import product
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import re2  # type: ignore[import-untyped]
import yaml
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.modifiers import SigmaModifier, SigmaValueModifier, modifier_mapping
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
    type_map,
)

from detections.sigma.pipelines import FOLDER

SHANGHAI = ZoneInfo("Asia/Shanghai")
DASH = Placeholder("a dash of windash")
DASHES = "-/\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}"
STAR, ONE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE
PIPELINE: ProcessingPipeline = sum(
    (ProcessingPipeline.from_yaml(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.yml"))),
    ProcessingPipeline(),
)


class Encoded(SigmaString):
    """Bytes that the next modifier encodes."""

    data: bytes


def encoded(data: bytes) -> SigmaString:
    found = Encoded()
    found.data, found.s = data, [data.decode("latin-1")]
    return found


def data_of(value: SigmaString) -> bytes:
    return value.data if isinstance(value, Encoded) else "".join(str(part) for part in value.s).encode()


class Wide(SigmaValueModifier[SigmaString, SigmaString]):
    def modify(self, val: SigmaString) -> SigmaString:
        return encoded(b"".join(ord(unit).to_bytes(2, "little") for unit in units(val)))


class WideBigEndian(SigmaValueModifier[SigmaString, SigmaString]):
    def modify(self, val: SigmaString) -> SigmaString:
        return encoded(b"".join(ord(unit).to_bytes(2, "big") for unit in units(val)))


class WideMarked(SigmaValueModifier[SigmaString, SigmaString]):
    def modify(self, val: SigmaString) -> SigmaString:
        return encoded(
            b"".join(ord(unit).to_bytes(2, "little") for unit in ["\N{ZERO WIDTH NO-BREAK SPACE}", *units(val)])
        )


def units(value: SigmaString) -> Iterator[str]:
    """Yield the UTF-16 code units of a text (Unicode 3.9, D91)."""
    for letter in data_of(value).decode():
        high, low = divmod(ord(letter) - 0x10000, 0x400)
        yield from [letter] if ord(letter) < 0x10000 else [chr(0xD800 + high), chr(0xDC00 + low)]


class Base64(SigmaValueModifier[SigmaString, SigmaString]):
    def modify(self, val: SigmaString) -> SigmaString:
        return SigmaString.from_str(b64encode(data_of(val)).decode())


class Base64Offset(SigmaValueModifier[SigmaString, SigmaExpansion]):
    """At each alignment, the letters that are there whatever stands before and after."""

    def modify(self, val: SigmaString) -> SigmaExpansion:
        data = data_of(val)
        return SigmaExpansion([SigmaString.from_str(certain(data, before)) for before in range(3)])


def certain(data: bytes, before: int) -> str:
    after = -(before + len(data)) % 3
    written = [b64encode(one * before + data + other * after) for one, other in product([b"\0", b"\xff"], repeat=2)]
    return "".join(chr(letters[0]) for letters in zip(*written, strict=True) if len(set(letters)) == 1)


class AnyDash(SigmaValueModifier[SigmaString, SigmaString]):
    """A dash before a word and after none becomes a sign of its own, that any of five dashes meets."""

    def modify(self, val: SigmaString) -> SigmaString:
        found = SigmaString()
        found.s = [sign for part in val.s for sign in (dashed(part) if isinstance(part, str) else [part])]
        return found


def dashed(text: str) -> Iterator[str | Placeholder]:
    for before, letter, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        yield DASH if letter in "-/" and not is_word(before) and is_word(after) else letter


def is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


class Whole(SigmaNumber):
    def __post_init__(self, init_number: Any) -> None:
        self.number = init_number


OWN: dict[str, type[SigmaModifier[Any, Any]]] = {
    "wide": Wide,
    "utf16le": Wide,
    "utf16be": WideBigEndian,
    "utf16": WideMarked,
}
OWN |= {"base64": Base64, "base64offset": Base64Offset, "windash": AnyDash}


def parse(text: str, tables: Mapping[str, Sequence[Any]] | None = None) -> SigmaRule:
    """Return a rule as pySigma reads it, with the modifiers of this module."""
    document = yaml.load(text, yaml.CSafeLoader)
    document["detection"] = expand(document["detection"], tables or {})
    with patch.dict(modifier_mapping, OWN), patch.dict(type_map, {int: Whole}):
        return SigmaRule.from_dict(document)


def expand(node: Any, tables: Mapping[str, Sequence[Any]]) -> Any:
    """Put each value of the tables in the place of its name."""
    if isinstance(node, list):
        return [expand(item, tables) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        "|".join(part for part in key.split("|") if part != "expand"): filled(value, tables)
        if "expand" in key.split("|")
        else expand(value, tables)
        for key, value in node.items()
    }


def filled(values: Any, tables: Mapping[str, Sequence[Any]]) -> list[str]:
    found: list[str] = []
    for text in values if isinstance(values, list) else [values]:
        names = re.findall("%([a-z]+)%", text)
        for chosen in product(*(tables[name] for name in names)):
            left = iter(chosen)
            found.append("".join(str(next(left)) if part[:1] == "%" else part for part in re.split("(%[a-z]+%)", text)))
    return found


TRANSLATED: dict[str, list[Any]] = {}


def conditions(rule: SigmaRule) -> list[Any]:
    """Return the rule's trees on the fields of our events, as pySigma's own pipeline makes them."""
    own = deepcopy(rule)
    PIPELINE.apply(own)
    return [condition.parsed for condition in own.detection.parsed_condition]


def matches(text: str, doc: dict[str, Any], zone: tzinfo = SHANGHAI) -> bool:
    """Tell whether the document meets one of the conditions of the rule in a text."""
    if text not in TRANSLATED:
        TRANSLATED[text] = conditions(parse(text))
    return met(TRANSLATED[text], doc, zone)


def met(trees: Sequence[Any], doc: dict[str, Any], zone: tzinfo = SHANGHAI) -> bool:
    """Tell whether the document meets one of the trees."""
    return any(holds(tree, doc, zone) for tree in trees)


def holds(node: Any, doc: dict[str, Any], zone: tzinfo) -> bool:
    if isinstance(node, ConditionAND):
        return all(holds(item, doc, zone) for item in node.args)
    if isinstance(node, ConditionOR):
        return any(holds(item, doc, zone) for item in node.args)
    if isinstance(node, ConditionNOT):
        return not holds(node.args[0], doc, zone)
    if isinstance(node, ConditionValueExpression):
        return any(keyword(node.value, value) for value in leaves(doc))
    assert isinstance(node, ConditionFieldEqualsValueExpression)
    found = lookup(doc, node.field.strip())
    if isinstance(node.value, SigmaExists):
        return (len(found) > 0) == node.value.exists
    values = leaves(found)
    if isinstance(node.value, SigmaNull):
        return values == [] or None in values
    return any(meets(node.value, value, doc, zone) for value in values)


def condition_holds(condition: str, found: Mapping[str, bool]) -> bool:
    """Evaluate a condition as Python does: same words, same precedence; LookupError for an empty pattern."""

    def quantified(term: re.Match[str]) -> str:
        pattern = "*" if term[2] == "them" else term[2]
        named = [name for name in found if fnmatchcase(name, pattern) and (pattern[0] == "_" or name[0] != "_")]
        if not named:
            raise LookupError(pattern)
        return f"{'all' if term[1] == 'all' else 'any'}([{', '.join(named)}])"

    return bool(eval(re.sub(r"(1|any|all) of ([\w*]+)", quantified, condition), {}, dict(found)))


def lookup(doc: Any, name: str) -> list[Any]:
    if isinstance(doc, list):
        return [found for item in doc for found in lookup(item, name)]
    if not isinstance(doc, dict):
        return []
    if name in doc:
        return [doc[name]]
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut])
        if head in doc:
            return lookup(doc[head], ".".join(parts[cut:]))
    return []


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def without_case(text: str) -> str:
    return text.lower() if text.isascii() else "".join(map(letter_without_case, text))


def letter_without_case(letter: str) -> str:
    """Return what a letter folds to, as one letter (test_semantics compares the engine's folding with RE2's)."""
    if len(letter.casefold()) == 1:
        return letter.casefold()
    return letter.lower() if len(letter.lower()) == 1 else letter


def like(parts: Sequence[Any], value: str, cased: bool) -> bool:
    """Match the runs between stars one after the other, each at the first place where it fits."""
    same = str if cased else without_case
    value = same(value)
    runs: list[list[Any]] = [[]]
    for part in parts:
        if part is STAR:
            runs.append([])
        else:
            runs[-1] += same(part) if isinstance(part, str) else [part]
    if len(runs) == 1:
        return len(runs[0]) == len(value) and fits(runs[0], value, 0)
    first, *inner, last = runs
    if not fits(first, value, 0):
        return False
    at = len(first)
    for run in inner:
        at = next((place for place in places(run, value, at) if fits(run, value, place)), -1)
        if at < 0:
            return False
        at += len(run)
    return at <= len(value) - len(last) and fits(last, value, len(value) - len(last))


def places(run: list[Any], value: str, start: int) -> Iterator[int]:
    """Yield the places at which a run may begin: those of its letters, if it is of letters."""
    if not all(isinstance(sign, str) for sign in run):
        yield from range(start, len(value) - len(run) + 1)
    elif (found := value.find("".join(run), start)) >= 0:
        yield found


def fits(run: list[Any], value: str, at: int) -> bool:
    if at + len(run) > len(value):
        return False
    return all(
        letter == sign or sign is ONE or (isinstance(sign, Placeholder) and letter in DASHES)
        for sign, letter in zip(run, value[at:], strict=False)
    )


def keyword(wanted: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(wanted, SigmaExpansion):
        return any(keyword(item, value) for item in wanted.values)
    if isinstance(wanted, SigmaString):
        return like([STAR, *wanted.s, STAR], text_of(value), isinstance(wanted, SigmaCasedString))
    if isinstance(wanted, SigmaNumber):
        return str(wanted.number) in text_of(value)
    return meets(wanted, value, {}, SHANGHAI)


def number(value: Any) -> Fraction | None:
    """Return the exact number that a value's decimal digits say."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    exponent = "" if isinstance(value, str) else r"(e[+-]?\d+)?"
    decimal = re.fullmatch(rf"[+-]?\d+(\.\d+)?{exponent}", str(value), re.ASCII)
    return Fraction(str(value)) if decimal else None


PARTS = {"MINUTE": "%M", "HOUR": "%H", "DAY": "%d", "WEEK": "%V", "MONTH": "%m", "YEAR": "%Y"}


def number_asked_for(wanted: SigmaNumber, value: Any, zone: tzinfo) -> Fraction | None:
    """Return the number of a value, or of the part of the time in it, in the zone."""
    if not isinstance(wanted, SigmaTimestampPart):
        return number(value)
    try:
        moment = datetime.fromisoformat(text_of(value))
        local = moment.astimezone(zone) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None
    return Fraction(int(local.strftime(PARTS[wanted.timestamp_part.name])))


def bits(address: Any) -> int:
    """Return an address as 128 bits, of version 4 as it is mapped into version 6 (RFC 4291, 2.5.5.2)."""
    return int(address) if isinstance(address, IPv6Address) else (0xFFFF << 32) + int(address)


def meets(wanted: Any, value: Any, doc: dict[str, Any], zone: tzinfo) -> bool:
    if value is None:
        return False
    if isinstance(wanted, SigmaExpansion):
        return any(meets(item, value, doc, zone) for item in wanted.values)
    if isinstance(wanted, SigmaString):
        return like(wanted.s, text_of(value), isinstance(wanted, SigmaCasedString))
    if isinstance(wanted, SigmaRegularExpression):
        prefix = "".join(sorted(wanted.sigma_to_re_flag[flag] for flag in wanted.flags))
        return bool(re2.search(f"(?{prefix}){wanted.regexp}" if prefix else str(wanted.regexp), text_of(value)))
    if isinstance(wanted, SigmaBool):
        return text_of(value).lower() == str(wanted.boolean).lower()
    if isinstance(wanted, SigmaNumber):
        return number_asked_for(wanted, value, zone) == Fraction(str(wanted.number))
    if isinstance(wanted, SigmaCompareExpression):
        found, limit = number_asked_for(wanted.number, value, zone), Fraction(str(wanted.number.number))
        return found is not None and compares(wanted.op, found, limit)
    if isinstance(wanted, SigmaCIDRExpression):
        return isinstance(value, str) and is_inside(value, wanted.cidr)
    assert isinstance(wanted, SigmaFieldReference)
    others = [text_of(other) for other in leaves(lookup(doc, wanted.field)) if other is not None]
    # pySigma marks the side that is bound, not the open one
    before, after = [STAR] * wanted.ends_with, [STAR] * wanted.starts_with
    return any(like([*before, other, *after], text_of(value), cased=False) for other in others)


def compares(op: CompareOperators, found: Fraction, limit: Fraction) -> bool:
    answers: dict[CompareOperators, bool] = {
        CompareOperators.LT: found < limit,
        CompareOperators.LTE: found <= limit,
        CompareOperators.GT: found > limit,
        CompareOperators.GTE: found >= limit,
    }
    return answers[op]


def is_inside(text: str, cidr: str) -> bool:
    """Compare leading bits; an IPv4 address is inside an IPv6 network only where that is of mapped addresses."""
    try:
        address, network = ip_address(text), ip_network(cidr)
    except ValueError:
        return False
    length = network.prefixlen + (0 if isinstance(network, IPv6Network) else 96)
    if not isinstance(address, IPv6Address) and length < 96:
        return False
    return bits(address) >> (128 - length) == bits(network.network_address) >> (128 - length)
