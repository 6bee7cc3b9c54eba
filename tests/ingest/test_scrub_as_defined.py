"""The scrub's joint look, plans and memory change nothing: the result is that of scrubbing each value alone."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.identifiers import scrub_text, suspects
from ingest.parsers import PARSERS, Record, Site, parser
from ingest.scrub import Action, scrub
from ingest.vault import HmacTokens
from tests.ingest.parsers.test_leaks import PLANTED
from tests.ingest.plain_scrub import plain_scrub
from wardwatch.errors import ScrubError

TOKENS = HmacTokens(bytes(32))
NAMED = [f"{action.value}.{number}" for action in Action for number in range(2)]
POLICY = {name: action for name in NAMED for action in Action if name.startswith(f"{action.value}.")}
FREE = ("message.free", "host.name", "tags", "source.ip", "x.md5", "event.category", "source.bytes", "process.pid", "")
SECRET = "患者欧阳修梅 110101199003070038"
PIECES = (
    "欧阳修梅",
    "110101199003070038",
    "13812345678",
    "a.b@mail.example",
    "MRN: 55-7788",
    "Patient Name: John Smith",
    "ZHANG^SAN",
    "0123456789abcdef" * 4,
    "S-1-5-21-526538150-889687948-186688817-1106",
    "C:\\Users\\li\\x.exe",
    "/a/b?name=x&d=13812345678",
    "０１２",
    "心内科",
    "name",
    ":",
    "'1380013",
    "8000'",
    "%E6",
    "\\u674e",
    "\n",
    " ",
    "-",
    b64encode(SECRET.encode()).decode(),
    b64encode(SECRET.encode("gbk")).decode(),
    quote(SECRET),
    TOKENS.token("pt", "1"),
    TOKENS.token("st", "1"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=4).map("".join) | st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers(-1, 2**63 - 1) | st.sampled_from([13812345678, 110101199003070038])
values = texts | scalars | st.lists(texts | scalars | st.lists(texts, max_size=2), max_size=3)
of_policy = texts | st.none() | st.integers(0, 2**63 - 1) | st.lists(texts | st.none(), max_size=3)
documents = st.builds(
    lambda named, free: named | free,
    st.dictionaries(st.sampled_from(NAMED), of_policy, max_size=6),
    st.dictionaries(st.sampled_from(FREE), values, max_size=6),
)


@settings(max_examples=600, deadline=None)
@given(documents)
def test_a_document_is_scrubbed_as_each_of_its_values_alone(doc: dict[str, Any]) -> None:
    assert scrub(doc, POLICY, TOKENS) == plain_scrub(doc, POLICY, TOKENS)


@settings(max_examples=400, deadline=None)
@given(st.lists(texts, max_size=6))
def test_a_joint_look_passes_over_no_text_that_a_recogniser_changes(found: list[str]) -> None:
    changed = {place for place, text in enumerate(found) if scrub_text(text) != text}
    assert changed <= set(suspects(found))


@pytest.mark.parametrize("name", PARSERS)
def test_events_of_every_source_are_scrubbed_as_each_of_their_values_alone(name: str) -> None:
    source = parser(name)
    samples = list(source.split(source.sample()))
    planted = [data for planted_name, data in PLANTED.values() if planted_name == name]
    for data in samples + planted:
        for one in source.parse(Record(data, peer="10.3.1.5"), Site()):
            assert scrub(one.doc, source.policy, TOKENS) == plain_scrub(one.doc, source.policy, TOKENS)


def test_documents_of_one_shape_and_other_values_share_nothing() -> None:
    first = scrub({"message.free": "x", "tags": ["a"], "n": 1}, POLICY, TOKENS)
    second = scrub({"message.free": "13812345678", "tags": ["13812345678"], "n": 13812345678}, POLICY, TOKENS)
    assert (first["message.free"], first["tags"], first["n"]) == ("x", ["a"], 1)
    assert (second["message.free"], second["tags"]) == ("[phone]", ["[phone]"])
    assert "n" not in second


def test_another_policy_for_the_same_names_is_another_scrub() -> None:
    doc = {"user.id": "zhang"}
    assert scrub(doc, {}, TOKENS)["user.id"] == "zhang"
    assert scrub(doc, {"user.id": Action.STAFF}, TOKENS)["user.id"] == TOKENS.token("st", "zhang")
    assert "user.id" not in scrub(doc, {"user.id": Action.DROP}, TOKENS)
    assert scrub(doc, {}, TOKENS)["user.id"] == "zhang"


@pytest.mark.parametrize("value", [1.5, True, {"a": "b"}])
def test_a_value_of_another_type_is_refused_also_where_texts_were_planned(value: object) -> None:
    assert scrub({"text.0": "x"}, POLICY, TOKENS)["text.0"] == "x"
    with pytest.raises(ScrubError):
        scrub({"text.0": value}, POLICY, TOKENS)
