"""Identifiers in free text, replaced by their kind: ``[id]``, ``[phone]``, ``[email]``, ``[record]``, ``[name]``…

Chinese and international. One look (scanner.py) tells which recognisers may find something, for most texts none. What
is encoded in a text (hidden.py) is decoded and judged alike. Sources: GB 11643-1999 (identity numbers, ISO 7064 MOD
11-2), ITU-T E.164 (telephone numbers), HL7 v2.9 2A.3.88 and DICOM PS3.5 6.2 (``family^given``).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from ingest import hidden, names
from ingest.scanner import Scanner

MAX_DEPTH = 4  # of encodings in each other

_FULL_WIDTH = str.maketrans("０１２３４５６７８９＠", "0123456789@")
_HAN = "\u3400-\u9fff"


def scrub_text(text: str, *, depth: int = MAX_DEPTH) -> str:
    """Return free text with the identifiers in it replaced by their kind, encoded ones by ``[encoded]``.

    Finds identity numbers with their check digit, the older of 15 digits, those of Hong Kong, Taiwan and the United
    States by their shape, telephone numbers, e-mail and postal addresses, names by dictionary and by the words around
    them; by such words alone record, insurance and passport numbers and birth dates.
    """
    text = _half_width(text)
    for index in _SCANNER.scan(text):
        text = _RECOGNISERS[index].apply(text, depth)
    return text


def remembered(text: str) -> str:
    """Return ``scrub_text`` of a text; short ones, which logs repeat, and the last long ones are remembered."""
    return (_short if len(text) <= _SHORT else _long if len(text) <= _LONG else scrub_text)(text)


_SHORT, _SHORT_KEPT = 256, 16_384  # characters, texts
_LONG, _LONG_KEPT = 32_768, 64  # one event has a command in several fields, and its program's next events have it too
_short = lru_cache(_SHORT_KEPT)(scrub_text)
_long = lru_cache(_LONG_KEPT)(scrub_text)


def is_suspect(text: str) -> bool:
    """Tell whether a recogniser may find something in a text."""
    return bool(_SCANNER.scan(text))


def suspects(texts: Sequence[str]) -> list[int]:
    """Return the places of the texts in which a recogniser may find something, and of all beyond ASCII."""
    joined = "\n".join(texts)
    if joined.isascii():
        return _suspects(texts, joined)
    foreign = [place for place, is_ascii in enumerate(map(str.isascii, texts)) if not is_ascii]
    plain = list(texts)
    for place in foreign:
        plain[place] = ""
    return [*foreign, *_suspects(plain, "\n".join(plain))]


def _suspects(texts: Sequence[str], joined: str) -> list[int]:
    """Return the places of texts of ASCII in which a match ends, its last byte perhaps the line feed behind them."""
    found = _SCANNER.ends(joined)
    if not found:
        return []
    ends = [end - 1 for end in accumulate(len(text) + 1 for text in texts)]
    return sorted({bisect_left(ends, end - 1) for end in found})


def is_resident(digits: str) -> bool:
    """Tell whether digits are the identity number of a resident: place, date of birth and check digit."""
    return len(digits) == 18 and scrub_text(digits) == "[id]"


def is_identity_number(digits: str) -> bool:
    """Say whether 18 characters pass the check of a resident identity number (GB 11643-1999, ISO 7064 MOD 11-2)."""
    weighed = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits[:17]))
    return "10X98765432"[weighed % 11] == digits[17].upper()


def _half_width(text: str) -> str:
    return text if text.isascii() else text.translate(_FULL_WIDTH)


def _identity(found: re.Match[str]) -> str:
    return "[id]" if is_identity_number(re.sub("[ -]", "", found[0])) else found[0]


def _is_identifying(text: str, depth: int) -> bool:
    """Tell whether an identifier stands in decoded text; what lies too deep to be read is one."""
    return is_suspect(text) and (depth == 0 or scrub_text(text, depth=depth) != _half_width(text))


def _hides(kind: str, part: str, depth: int) -> bool:
    """Tell whether an encoded part of a text tells an identifier."""
    return any(_is_identifying(told, depth) for told in hidden.decoded(kind, part))


_short_hides = lru_cache(_SHORT_KEPT)(_hides)  # long words and numbers of systems look encoded
_long_hides = lru_cache(_LONG_KEPT)(_hides)


@dataclass(frozen=True, slots=True)
class _Recogniser:
    """What replaces one kind of identifier; ``needs`` is what a text must have for it, a pattern of Hyperscan."""

    needs: str
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]

    def apply(self, text: str, _depth: int) -> str:
        return self.pattern.sub(self.replacement, text)


class _Labelled:
    """A name beside a word for one: the pattern is tried where such a word ends before a colon or the like.

    This is ``sub`` of the pattern, which is dear at each place of a long text.
    """

    needs = r"(?:patient|name|family|given)[\x22'\x5c\s]{0,8}(?:[:=>#]|：|为|是)"

    def apply(self, text: str, _depth: int) -> str:
        parts, done = [], 0
        for ended in _LABEL.finditer(text):
            starts = range(max(done, ended.end() - _LONGEST_LABEL), ended.end())
            found = next(filter(None, (_LABELLED.match(text, start) for start in starts)), None)
            if found:
                parts += [text[done : found.start()], found[1], found[2], "[name]"]
                done = found.end()
        return "".join([*parts, text[done:]])


class _Names:
    """The names that the dictionary has, between anything but Chinese characters."""

    needs = r"[\xe3-\xe9][\x80-\xbf]{2}"

    def apply(self, text: str, _depth: int) -> str:
        return names.replaced(text, "[name]")


class _Hidden:
    """What is encoded."""

    needs = r"%[0-9a-f]{2}|\\u[0-9a-f]{4}|&#|[a-z0-9+/]{20}(?:[^a-z0-9+/]|$)|[a-z0-9_-]{40}(?:[^a-z0-9_-]|$)"

    def apply(self, text: str, depth: int) -> str:
        def judge(kind: str, part: str) -> bool:
            hides = _short_hides if len(part) <= _SHORT else _long_hides if len(part) <= _LONG else _hides
            return hides(kind, part, depth - 1)

        return hidden.replaced(text, judge)


def _recogniser(
    needs: str, pattern: str, replacement: str | Callable[[re.Match[str]], str], flags: int = 0
) -> _Recogniser:
    return _Recogniser(needs, re.compile(pattern, flags), replacement)


_MONTH_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_SAID = r"""(["'\\]{0,4}\s{0,4}(?:[:：=#>]|为|是)[\s"'\\]{0,4})"""  # also in JSON, JSON in JSON and XML
_BESIDE = r"""(["'\\]{0,4}\s{0,4}(?:[:：=#>]|为|是)?[\s"'\\]{0,4})"""
_NUMBER_WORDS = (
    "病历号码?|病案号码?|住院号码?|门诊号码?|就诊卡号?码?|就诊号|登记号|身份证号?码?|医保卡?号?码?|医疗保险号码?|社保卡?号?码?|"
    r"护照号?码?|通行证号?码?|军官证号?码?|\bMRN|\bmedical[ _-]?record(?:[ _-]?(?:no|number))?|"
    r"\bpatient[ _-]?(?:id|no|number)|\binsurance[ _-]?(?:id|no|number)|\bID[ _-]?card(?:[ _-]?(?:no|number))?|"
    r"\bpassport(?:[ _-]?(?:no|number))?|\bSSN"
)
_NAME_WORDS = (
    r"\bpatient|\bpatient[ _-]?name|\bsurname|\b(?:family|given|first|last|full|real)[ _-]?name|"
    r"(?:(?<=[\"'<,;&?|(\\])|(?<![^\n]))(?:name|family|given)"  # a bare word as a key alone: "Process Name" is none
)
_PATIENTS = "(?:患者|病人|病员|产妇|患儿|联系人|家属|监护人)?姓名|患者|病人|病员|产妇|患儿|家属|监护人"
_STAFF = "医生|医师|护士长?|主任|药师|技师|操作[人员]|经办人|审核人|工号|账号|用户名?"
_FOLLOWING = (
    "主任|副主任|医生|医师|护士|先生|女士|小姐|老师|教授|患者|出院|入院|转院|小结|病历|病案|报告|检查|检验|处方|"
    "化验|手术|同意书|证明|诊断|体检"
)
_LABELLED = re.compile(
    rf"(?i:({_NAME_WORDS})){_SAID}(?!\w:)[A-Z\u00c0-\u024f][\w'’.-]{{0,40}}"
    r"(?:, ?[A-Z][\w'’.-]{0,40})?(?:[ ^]{1,2}[A-Z][\w'’.-]{0,40}){0,3}"
)
_LABEL = re.compile(
    r"[TtEeYyNn](?:(?<=patient)|(?<=name)|(?<=family)|(?<=given))(?=[\"'\\]{0,4}\s{0,4}(?:[:：=#>]|为|是))", re.I
)
_LONGEST_LABEL = 12  # patient name

_RECOGNISERS: tuple[_Recogniser | _Labelled | _Names | _Hidden, ...] = (
    _recogniser("@", r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", "[email]"),
    _recogniser(
        "[1-9][0-9]{5}[ -]?(?:19|20)[0-9]{6}[ -]?[0-9]{3}[0-9x]",
        rf"(?<![0-9])[1-9][0-9]{{5}}[ -]?(?:19|20)[0-9]{{2}}{_MONTH_DAY}[ -]?[0-9]{{3}}[0-9Xx](?![0-9])",
        _identity,
    ),
    _recogniser(
        rf"(?:^|[^0-9])[1-9][0-9]{{7}}{_MONTH_DAY}[0-9]{{3}}(?:[^0-9]|$)",
        rf"(?<![0-9])[1-9][0-9]{{7}}{_MONTH_DAY}[0-9]{{3}}(?![0-9])",
        "[id]",
    ),
    _recogniser(
        r"[0-9]{6}\([0-9a]\)|[a-z][1289][0-9]{8}|[0-9]{3}-[0-9]{2}-[0-9]{4}",
        r"\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)|\b[A-Z][1289][0-9]{8}\b|(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])",
        "[id]",
    ),
    _recogniser(
        "1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}",
        r"(?<![0-9a-fA-F])(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}(?![0-9a-fA-F])",
        "[phone]",
    ),
    _recogniser(
        r"0[0-9]{2,3}(?:[ -]|\) ?)[0-9]{7}",
        r"(?<![0-9])(?:0[0-9]{2,3}[- ]|\(0[0-9]{2,3}\) ?)[0-9]{7,8}(?:-[0-9]{1,6})?(?![0-9])",
        "[phone]",
    ),
    _recogniser(
        r"\+[1-9](?:[ ().-]{0,2}[0-9]){7}", r"(?<![\w+:.])\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}(?![0-9])", "[phone]"
    ),
    _recogniser(
        "(?:病历|病案|住院|门诊|就诊|登记号|身份证|医保|医疗保险|社保|护照|通行证|军官证|mrn|medical|patient|insurance|card|passport|ssn)"
        ".{0,32}[0-9]",
        rf"({_NUMBER_WORDS}){_BESIDE}(?=[A-Z-]{{0,15}}[0-9])[A-Z0-9][A-Z0-9-]{{3,31}}",
        r"\1\2[record]",
        re.I,
    ),
    _recogniser(
        "(?:出生|生日|birth|dob|born).{0,24}(?:19|20)[0-9]{2}",
        rf"(出生(?:日期|年月日?)?|生日|\bbirth[ _-]?(?:date|day)|\bdate[ _-]of[ _-]birth|\bdob|\bborn(?: on)?){_BESIDE}"
        r"(?:19|20)[0-9]{2}(?:[-/.年]?[0-9]{1,2}(?:[-/.月]?[0-9]{1,2}日?)?)?",
        r"\1\2[birth date]",
        re.I,
    ),
    _recogniser(
        "(?:电话|手机|联系方式|phone|mobile|tel|fax).{0,16}[0-9(+]",
        rf"(电话号?码?|手机号?码?|联系方式|\b(?:tele|mobile[ _-]?)?phone|\bmobile|\btel|\bfax){_SAID}"
        "[0-9(+][0-9 ()-]{5,18}[0-9]",
        r"\1\2[phone]",
        re.I,
    ),
    _recogniser(
        r"(?:地址|住址|address)[\x22'\x5c\s]{0,8}(?:[:=>]|：)",
        rf"((?:家庭|联系|现|户籍)?[地住]址|\b(?:home|postal|street)?[ _-]?address){_SAID}"
        r"(?![0-9a-f.:]{2,45}(?![\w.:]))"  # an IP address
        r"""[^\s,，;；。|"'<\\]{2,80}""",
        r"\1\2[address]",
        re.I,
    ),
    _recogniser(
        "[0-9] (?:[a-z]+ ){1,3}(?:st|r|a|l|d|b)",
        r"\b[0-9]{1,5} (?:[A-Z][a-z]{1,20} ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard)\b",
        "[address]",
    ),
    _Labelled(),
    _recogniser(
        "(?:m[rs]|mrs|miss|dr)[. ]",
        r"\b(Mr|Mrs|Ms|Miss|Dr)(\.? )[A-Z][a-z'’-]{1,40}(?: [A-Z][a-z'’-]{1,40}){0,2}\b",
        r"\1\2[name]",
    ),
    _recogniser(r"\^", r"(?<![\w^])[^\W\d_]{2,40}\^[^\W\d_]{2,40}(?:\^[^\W\d_]{0,40}){0,3}(?![\w^])", "[name]"),
    _recogniser(
        r"(?:姓名|患者|病人|病员|产妇|患儿|家属|监护人|name).{0,16}[\xe3-\xe9]",
        rf"({_PATIENTS}|(?i:patient[ _-]?name|name)){_BESIDE}(?!姓名|信息|列表|登记|数据)[{_HAN}·]{{2,4}}",
        r"\1\2[name]",
    ),
    _recogniser(
        "医|护士|主任|药师|技师|操作|经办人|审核人|工号|账号|用户",
        rf"({_STAFF}){_BESIDE}{names.NAME}",
        r"\1\2[name]",
    ),
    _recogniser(_FOLLOWING, rf"{names.NAME}(?={_FOLLOWING})", "[name]"),
    _recogniser(
        "号|弄|幢|栋",
        rf"[{_HAN}]{{2,20}}?(?:路|街|巷|弄|胡同|大道|村|镇|小区|花园)[{_HAN}]{{0,4}}"
        rf"[0-9一二三四五六七八九十百]{{1,6}}(?:号楼?|弄|幢|栋)(?:[{_HAN}0-9A-Za-z-]{{0,20}}(?:室|户|单元|楼|层))?",
        "[address]",
    ),
    _Names(),
    _Hidden(),
)
_SCANNER = Scanner([one.needs for one in _RECOGNISERS])
