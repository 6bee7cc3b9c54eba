"""An identity in the place of any word of any record of any source doesn't leave, whichever way it is written."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from ingest.parsers import PARSERS, Record, Site, parser
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.errors import RecordError
from wardwatch.event import decode, encode

NAME, IDENTITY, PHONE, EMAIL = "欧阳修梅", "110101199003070038", "13812345678", "ouyang.canary@mail.example"
TOKENS = HmacTokens(bytes(32))
TEXT = f"患者{NAME} {IDENTITY}"
FORMS: dict[str, tuple[Callable[[], bytes], Site]] = {
    "name": (NAME.encode, Site()),
    "identity number": (IDENTITY.encode, Site()),
    "telephone": (PHONE.encode, Site()),
    "e-mail": (EMAIL.encode, Site()),
    "name in GBK": (lambda: NAME.encode("gbk"), Site(charset="gb18030")),
    "base64": (lambda: b64encode(TEXT.encode()), Site()),
    "base64 of GBK": (lambda: b64encode(TEXT.encode("gbk")), Site()),
    "percent": (lambda: quote(TEXT).encode(), Site()),
    "percent of GBK": (lambda: quote(TEXT.encode("gbk")).encode(), Site()),
    "hexadecimal": (lambda: TEXT.encode().hex().encode(), Site()),
}
TRACES = [NAME, NAME[:3], IDENTITY, PHONE, EMAIL, *(form().decode("gb18030") for form, _ in FORMS.values())]
_WORD = re.compile(rb"[^\s,;|=\"':{}\[\]<>()&^~\\/]+")


def planted(record: bytes, form: bytes) -> Iterator[bytes]:
    """Yield the record with the identity in the place of each of its words, once."""
    for word in _WORD.finditer(record):
        yield record[: word.start()] + form + record[word.end() :]


def leaving(source: str, data: bytes, site: Site) -> str:
    """Return what leaves of a record: its events, or the reason why it stays."""
    found = parser(source)
    try:
        docs = [scrub(one.doc, found.policy, TOKENS) for one in found.parse(Record(data, peer="10.3.1.5"), site)]
        return "\n".join(without_quantities(encode(doc)) for doc in docs)
    except RecordError as error:
        return str(error)


def without_quantities(event: bytes) -> str:
    """Return the event without counts that happen to be the telephone number: 13 GB is no telephone."""
    doc = decode(event)
    is_count = {
        name: value == int(PHONE) and name.endswith((".bytes", ".packets", ".sequence")) for name, value in doc.items()
    }
    return encode({name: value for name, value in doc.items() if not is_count[name]}).decode()


@pytest.mark.parametrize("name", PARSERS)
def test_an_identity_in_any_place_of_any_record_does_not_leave(name: str) -> None:
    found: list[tuple[str, str]] = []
    count = 0
    for record in parser(name).split(parser(name).sample()):
        for form, (make, site) in FORMS.items():
            for data in planted(record, make()):
                count += 1
                left = leaving(name, data, site)
                found += [(form, left)] * any(trace in left for trace in TRACES)
    print(f"{name}: {count} identities planted, {len(found)} found")
    assert found == []
