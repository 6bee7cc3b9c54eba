from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.scrub import Action, is_identity_number, scrub, scrub_text
from ingest.vault import HmacTokens
from wardwatch.errors import ScrubError

TOKENS = HmacTokens(bytes(32))
POLICY = {
    "user.id": Action.STAFF,
    "hospital.patient.id_token": Action.PATIENT,
    "hospital.encounter.id_token": Action.ENCOUNTER,
    "dicom.study_uid_token": Action.STUDY,
    "print.document": Action.DROP,
    "message": Action.TEXT,
}
IDENTITY = "110101199003070038"


def test_each_kind_of_identifier_becomes_a_token_with_its_prefix() -> None:
    names = ["user.id", "hospital.patient.id_token", "hospital.encounter.id_token", "dicom.study_uid_token"]
    clean = scrub(dict.fromkeys(names, "1001"), POLICY, TOKENS)
    assert [clean[name][:3] for name in names] == ["st_", "pt_", "en_", "sd_"]
    assert clean["privacy.tokens"] == ["en", "pt", "sd", "st"]
    assert "1001" not in str(clean)


def test_dropped_fields_leave_and_others_stay_as_they_are() -> None:
    clean = scrub({"print.document": "李晓梅.pdf", "source.ip": "10.3.1.5", "dicom.instances": 3}, POLICY, TOKENS)
    assert "print.document" not in clean
    assert (clean["source.ip"], clean["dicom.instances"]) == ("10.3.1.5", 3)


def test_every_item_of_a_list_is_scrubbed_and_empty_ones_leave() -> None:
    clean = scrub({"user.id": ["a", None, " ", "b"], "hospital.patient.id_token": [""]}, POLICY, TOKENS)
    assert clean["user.id"] == [TOKENS.token("st", "a"), TOKENS.token("st", "b")]
    assert "hospital.patient.id_token" not in clean


def test_a_number_is_a_value_like_its_text() -> None:
    assert scrub({"user.id": 1001}, POLICY, TOKENS) == scrub({"user.id": "1001"}, POLICY, TOKENS)


@pytest.mark.parametrize("value", [{"name": "李晓梅"}, [{"name": "x"}], [["x"]], 1.5, True, b"x"])
@pytest.mark.parametrize("name", ["user.id", "message"])
def test_a_value_of_another_type_stays_in_the_hospital(name: str, value: object) -> None:
    with pytest.raises(ScrubError, match=name) as refused:
        scrub({name: value}, POLICY, TOKENS)
    assert "李晓梅" not in str(refused.value)


def test_scrubbing_twice_changes_nothing() -> None:
    once = scrub({"user.id": "zhang", "message": f"患者李晓梅 {IDENTITY}"}, POLICY, TOKENS)
    assert scrub(once, POLICY, TOKENS) == once


def test_a_token_of_another_kind_is_a_value() -> None:
    staff = TOKENS.token("st", "zhang")
    assert scrub({"hospital.patient.id_token": staff}, POLICY, TOKENS)["hospital.patient.id_token"].startswith("pt_")


def test_the_document_given_is_not_changed() -> None:
    doc = {"user.id": "zhang"}
    scrub(doc, POLICY, TOKENS)
    assert doc == {"user.id": "zhang"}


def test_the_privacy_level_says_whether_a_patient_may_be_re_identified() -> None:
    assert scrub({"hospital.patient.id_token": "1"}, POLICY, TOKENS)["privacy.level"] == 3
    assert scrub({"user.id": "1"}, POLICY, TOKENS)["privacy.level"] == 2
    assert scrub({}, POLICY, TOKENS) == {"privacy.policy_version": "p1", "privacy.level": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"卡 {IDENTITY} 已读", "卡 [id] 已读"),
        ("11010119900307003x", "11010119900307003x"),  # the check digit is wrong
        ("旧号130503670401001。", "旧号[id]。"),
        ("电话13812345678/+86 138-1234-5678", "电话[phone]/[phone]"),
        ("座机010-62345678，(0755)26001234-801", "座机[phone]，[phone]"),
        ("号码１１０１０１１９９００３０７００３８", "号码[id]"),
        ("mail li.xiaomei@h1.example.cn ok", "mail [email] ok"),
        ("病历号：MR204871，住院号 88231004", "病历号：[record]，住院号 [record]"),
        ("医保卡号=A12345678X MRN: 55-7788", "医保卡号=[record] MRN: [record]"),
        ("患者李晓梅，姓名：欧阳修文", "患者[name]，姓名：[name]"),
        ("Patient Name: John O'Neil, MRN 12345", "Patient Name: [name], MRN [record]"),
        ("地址：健康路18号3单元 已寄", "地址：[address] 已寄"),
    ],
)
def test_identifiers_in_text_are_replaced_by_their_kind(text: str, expected: str) -> None:
    assert scrub_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Accepted password for root from 10.3.1.5 port 50022 ssh2",
        "2026-03-01T02:11:09Z pid=1700000000 size=9007199254740993",
        "serial 20260301021109123456 done",
        "患者信息列表已导出 30 行",
        "rule 1.2.840.10008.5.1.4.1.1.2",
    ],
)
def test_text_without_identifiers_stays(text: str) -> None:
    assert scrub_text(text) == text


def _check_digit(digits: str) -> str:
    """Return the check by the table of weights in GB 11643-1999, written out."""
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11]


def test_identity_numbers_are_told_by_the_weights_of_the_standard() -> None:
    draw = random.Random(11)
    for _ in range(500):
        digits = "".join(draw.choices("0123456789", k=17))
        right = _check_digit(digits)
        assert is_identity_number(digits + right)
        assert not any(is_identity_number(digits + wrong) for wrong in set("0123456789X") - {right})


@given(st.text(max_size=300))
def test_an_identity_number_is_found_in_any_text(text: str) -> None:
    assert IDENTITY not in scrub_text(f"{text} {IDENTITY} {text}")


@pytest.mark.parametrize("hostile", ["a" * 300_000, "1" * 300_000, "患者" * 100_000, "a@" * 150_000, "地址:" * 90_000])
def test_long_hostile_text_is_scrubbed_before_the_test_times_out(hostile: str) -> None:
    assert len(scrub_text(hostile)) <= len(hostile) * 5
