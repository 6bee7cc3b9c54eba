"""Messages of SNMP, byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.snmp import ber
from ingest.snmp.ber import BerError
from ingest.snmp.message import Engine, Receiver, Refused
from ingest.snmp.usm import User

ENGINE = bytes.fromhex("80007ed90501020304")
USER = User(b"ups", "sha256", b"maplesyrup")
VARIABLE = ber.element(ber.SEQUENCE, ber.object_identifier("1.3.6.1.6.3.1.1.4.1.0"), ber.object_identifier("1.3.6.1"))
PDU = ber.element(0xA6, ber.integer(7), ber.integer(0), ber.integer(0), ber.element(ber.SEQUENCE, VARIABLE))


def receiver() -> Receiver:
    return Receiver(b"icu-net", [USER], Engine(ENGINE, 3, lambda: 1000))


def of_community(pdu: bytes) -> bytes:
    return ber.element(ber.SEQUENCE, ber.integer(1), ber.element(ber.OCTETS, b"icu-net"), pdu)


def of_user(pdu: bytes, *, engine: bytes = ENGINE, boots: int = 3, time: int = 1000, name: bytes = b"ups") -> bytes:
    """Return a message of v3 as its user signs it."""
    flags = ber.element(ber.OCTETS, b"\x05")
    head = ber.element(ber.SEQUENCE, ber.integer(1), ber.integer(65_507), flags, ber.integer(3))
    names = ber.element(ber.OCTETS, ENGINE), ber.element(ber.OCTETS)
    scoped = ber.element(ber.SEQUENCE, *names, pdu)

    def message(digest: bytes) -> bytes:
        octets = [ber.element(ber.OCTETS, one) for one in (engine, name, digest, b"")]
        fields = (octets[0], ber.integer(boots), ber.integer(time), *octets[1:])
        parameters = ber.element(ber.OCTETS, ber.element(ber.SEQUENCE, *fields))
        return ber.element(ber.SEQUENCE, ber.integer(3), head, parameters, scoped)

    return message(USER.digest(message(bytes(USER.digest_size)), engine))


@pytest.mark.parametrize("message", [of_community, of_user])
def test_an_inform_has_an_answer_with_its_number_and_variables(message: Callable[[bytes], bytes]) -> None:
    found = receiver().read(message(PDU), "10.3.8.4")
    assert (found.fields["type"], found.fields["trap"], found.fields["agent"]) == ("inform", "1.3.6.1", "10.3.8.4")
    assert ber.element(0xA2, PDU[2:]) in found.answer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (of_user(PDU, boots=2), "not_in_time"),
        (of_user(PDU, time=1151), "not_in_time"),
        (of_user(PDU, time=849), "not_in_time"),
        (of_user(PDU, boots=2**31 - 1), "not_in_time"),
        (of_user(PDU, engine=b""), "unknown_engine"),
        (of_user(PDU, engine=b"another"), "unknown_engine"),  # who sends an inform must know whom it is for
        (of_user(PDU, name=b"lift"), "unknown_user"),
        (of_user(PDU, boots=2**40), "malformed"),
        (of_user(PDU)[:-1] + b"\x00", "wrong_digest"),
    ],
)
def test_a_message_of_v3_that_is_not_for_us_is_refused_with_a_report(data: bytes, reason: str) -> None:
    one = receiver()
    with pytest.raises(Refused) as refused:
        one.read(data, "10.3.8.4")
    assert (refused.value.reason, one.refused[reason]) == (reason, 1)
    assert bool(refused.value.report) == (reason != "malformed")


def test_the_edge_of_the_window_is_in_time() -> None:
    for time in (850, 1150):
        assert receiver().read(of_user(PDU, time=time), "10.3.8.4").answer


@pytest.mark.parametrize("message", [of_community, of_user])
@given(
    pdu=st.one_of(
        st.binary(max_size=60),
        st.builds(lambda at, octet: PDU[:at] + octet + PDU[at + 1 :], st.integers(0, len(PDU)), st.binary(max_size=2)),
    )
)
def test_any_octets_where_a_notification_belongs_are_read_or_refused(
    message: Callable[[bytes], bytes], pdu: bytes
) -> None:
    with suppress(Refused, BerError):
        orjson.dumps(receiver().read(message(pdu), "10.3.8.4").fields)


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda whole, at, octets: whole[:at] + octets + whole[at + 1 :],
            st.sampled_from((of_community(PDU), of_user(PDU))),
            st.integers(0, 160),
            st.binary(max_size=3),
        ),
    )
)
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    with suppress(Refused, BerError):
        receiver().read(data, "10.3.8.4")
