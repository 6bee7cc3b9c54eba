"""Invented rules and events: every modifier, value and condition of Sigma, on events that meet them often."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

FIELDS = ["f", "g", "n.x", "n.x.y"]
TABLES: dict[str, list[Any]] = {"words": ["ab", "A*", "ß"], "numbers": [1, 12]}
ZONES = [ZoneInfo(name) for name in ("Asia/Shanghai", "UTC", "America/St_Johns", "Pacific/Kiritimati")]

LETTERS = st.text(alphabet="aAbB*?\\.1ßẞäÄ\n-/ ", max_size=6)
SHORT = st.text("aBä*?", min_size=1, max_size=3) | st.sampled_from(["a*b", "a?b"])
DASHED = st.text(alphabet="aB -/–―", max_size=5)
WORDS = st.sampled_from(["a", "ab", "net", "Net", "统方", "x\U0001f600", "a*b"])
NUMBERS = st.integers(-3, 12) | st.sampled_from(
    [2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63 - 2, 1 - 2**63, 1.5, 0.1, 1e15, 2.0**53]
)
NUMERIC_TEXTS = NUMBERS.map(str) | st.sampled_from(
    [
        "01",
        "+1",
        "1e0",
        "1E+1",
        "0.10",
        "1.0",
        "-0",
        "1_0",
        "１",
        ".5",
        "5.",
        "0x1",
        "1/2",
        " 1",
        "1\n",
        "nan",
        "inf",
        "1e",
    ]
)
NETWORKS = st.sampled_from(
    ["10.0.0.0/8", "10.1.1.0/31", "0.0.0.0/0", "::/64", "::/0", "fe80::/10", "::ffff:10.0.0.0/104", "10.1.1.1", "::1"]
)
ADDRESSES = st.sampled_from(
    [
        "10.1.1.1",
        "10.1.1.2",
        "11.0.0.1",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:10.1.1.1",
        "::FFFF:a01:101",
        "10.1",
        "10.01.1.1",
    ]
)
TIMES = st.sampled_from(
    [
        "2026-01-01T09:30:00Z",
        "2025-12-31T20:00:00.123456+00:00",
        "2026-03-29T01:59:59-02:30",
        "2024-12-30T00:00:00Z",
        "2026-01-01T09:30:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-11:00",
        "2026-01-01",
        "09:30",
    ]
)
CODECS = {"": "utf-8", "wide|": "utf-16-le", "utf16le|": "utf-16-le", "utf16be|": "utf-16-be", "utf16|": "utf-16"}


@st.composite
def encoded(draw: st.DrawFn) -> str:
    """Return what a log may hold of a word in another encoding."""
    word, codec = draw(WORDS), draw(st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-16"]))
    before, after = draw(st.sampled_from([b"", b"x", b"xy"])), draw(st.sampled_from([b"", b"z", b"zz"]))
    data = before + word.encode(codec) + after
    return data.decode("latin-1") if draw(st.booleans()) else b64encode(data).decode()


SCALARS = st.one_of(
    LETTERS, DASHED, NUMBERS, NUMERIC_TEXTS, ADDRESSES, TIMES, encoded(), WORDS, st.booleans(), st.none(), st.just("")
)
DOCUMENTS = st.dictionaries(
    st.sampled_from([*FIELDS, "n"]),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), inner)
    ),
    max_size=4,
)


def listed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one value of a rule or a list of some."""
    return values | st.lists(values, min_size=1, max_size=3)


def modified(modifiers: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    """Return a field's modifiers with one value or some."""
    return st.tuples(st.sampled_from(modifiers), listed(values))


TEXT_MODIFIERS = [
    opened + case + linked
    for opened in ("", "|contains", "|startswith", "|endswith")
    for case in ("", "|cased")
    for linked in ("", "|all", "|neq")
    if linked != "|all" or opened
]
TESTS: dict[str, st.SearchStrategy[tuple[str, Any]]] = {
    "text": modified(TEXT_MODIFIERS, LETTERS),
    "wildcards": modified(TEXT_MODIFIERS, SHORT),
    "windash": modified(
        ["|windash", "|windash|contains", "|windash|contains|all", "|windash|startswith", "|windash|contains|neq"],
        DASHED,
    ),
    "encoding": modified(
        [
            f"|{codec}{modifier}{linked}"
            for codec in CODECS
            for modifier in ("base64", "base64|contains|cased", "base64offset|contains", "base64offset|contains|cased")
            for linked in ("", "|all", "|neq")
            if linked != "|all" or "contains" in modifier
        ],
        WORDS.map(lambda word: word.replace("*", r"\*")),
    ),
    "wide": modified(
        [f"|{codec}contains{case}" for codec in CODECS if codec for case in ("", "|cased")],
        WORDS.filter(lambda word: "*" not in word),
    ),
    "number": modified(["", "|neq"], NUMBERS),
    "compare": st.tuples(st.sampled_from(["|lt", "|lte", "|gt", "|gte", "|lt|neq"]), NUMBERS),
    "regular expression": modified(
        ["|re", "|re|i", "|re|s", "|re|m", "|re|i|m|s", "|re|neq"],
        st.sampled_from(["a.b", "^a", "b$", "[ab]+", "ß"]),
    ),
    "field": st.tuples(
        st.sampled_from([f"|fieldref{suffix}" for suffix in ("", "|startswith", "|endswith", "|contains", "|neq")]),
        listed(st.sampled_from(FIELDS)),
    ),
    "exists": st.tuples(st.just("|exists"), st.booleans()),
    "network": modified(["|cidr", "|cidr|neq"], NETWORKS),
    "time": st.tuples(
        st.sampled_from(
            [
                f"|{part}{op}"
                for part in ("minute", "hour", "day", "week", "month", "year")
                for op in ("", "|gte", "|lt", "|neq")
            ]
        ),
        st.sampled_from([0, 1, 5, 9, 12, 17, 29, 30, 31, 52, 53, 2024, 2025, 2026]),
    ),
    "placeholder": modified(
        ["|expand", "|contains|expand", "|contains|all|expand", "|expand|neq", "|expand|cased", "|startswith|expand"],
        st.sampled_from(["%words%", "%numbers%", "a%words%", "%numbers%%words%"]),
    ),
    "other": st.tuples(st.sampled_from(["", "|neq"]), st.booleans() | st.none() | st.just("")),
}


def items(kinds: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """Return fields with modifiers, and values."""
    tests = kinds.flatmap(TESTS.__getitem__)
    return st.tuples(st.sampled_from([*FIELDS, " f "]), tests).map(lambda found: (found[0] + found[1][0], found[1][1]))


KEYWORDS = st.one_of(
    st.lists(LETTERS.filter(bool) | st.integers(0, 12), min_size=1, max_size=2),
    st.tuples(
        st.sampled_from(["|all", "|contains|all", "|cased", "|cased|all", "|windash|all", "|re", "|re|i"]),
        st.lists(st.sampled_from(["a", "ab", "B", "-a", "1"]), min_size=1, max_size=2),
    ).map(lambda found: {found[0]: found[1]}),
    st.fixed_dictionaries({"|expand": st.just("%words%")}),
    st.sampled_from(list(CODECS)).map(lambda codec: {f"|{codec}base64offset|contains|cased": "net"}),
)
FIELD_ITEMS = items(st.sampled_from(sorted(TESTS)))
SELECTIONS = st.one_of(
    st.lists(FIELD_ITEMS, min_size=1, max_size=3).map(dict),
    st.lists(st.lists(FIELD_ITEMS, min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
    KEYWORDS,
)
CONDITIONS = st.sampled_from(
    ["a", "not a", "a and b", "a or b", "a and not b", "not (a or b)", "1 of them", "all of them", ["a", "b and not a"]]
)

NAMES = ["sel_a", "sel_b", "sel", "other", "_sel", "_x"]
PATTERNS = ["them", "sel*", "sel_*", "*_a", "other", "_*", "_s*", "none*"]
_PLACES = st.sampled_from(["a", "b", 1, None])
PATHS = st.dictionaries(
    st.sampled_from(["n", "n.x", "n.x.y"]),
    st.recursive(
        _PLACES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), inner)
    ),
    min_size=1,
)
"""Documents in which a dotted name may be a key or a path, or both."""
ON_PATHS = st.sampled_from(
    [("", "a"), ("", "b"), ("", 1), ("", None), ("|neq", "a"), ("|exists", True), ("|exists", False)]
)
TERMS = st.sampled_from(NAMES) | st.tuples(st.sampled_from(["1", "any", "all"]), st.sampled_from(PATTERNS)).map(
    " of ".join
)
QUANTIFIED = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map("not {}".format),
        inner.map("({})".format),
        st.lists(inner, min_size=2, max_size=3).map(" and ".join),
        st.lists(inner, min_size=2, max_size=3).map(" or ".join),
    ),
    max_leaves=6,
)
"""Conditions in which not, and, or stand side by side without parentheses."""

_NUMBERS = NUMBERS | NUMERIC_TEXTS
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": LETTERS,
    "wildcards": st.text("aAbBÄ\n", max_size=4) | st.sampled_from(["a\nb", "A\n\nB", "xab", "abx"]),
    "windash": DASHED,
    "encoding": encoded(),
    "wide": encoded(),
    "number": _NUMBERS,
    "compare": _NUMBERS,
    "regular expression": LETTERS,
    "field": LETTERS | NUMBERS,
    "exists": st.none() | st.just("") | st.just([]) | LETTERS,
    "network": ADDRESSES,
    "time": TIMES,
    "placeholder": st.text("aAbBß12", max_size=4),
    "other": st.booleans() | st.none() | st.sampled_from(["", "true", "False", " "]),
}
VALUES = {kind: values | st.lists(values, max_size=2) for kind, values in _VALUES.items()}
"""What a field may hold so that tests of a kind are met about as often as not."""
