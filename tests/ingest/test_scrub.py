from __future__ import annotations

from pathlib import Path

import pytest

from ingest.classification import table
from ingest.scrub import Action, scrub
from ingest.vault import HmacTokens, Vault
from wardwatch.errors import ScrubError, SettingsError

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


def test_the_level_says_whether_a_patient_may_be_re_identified_and_what_the_record_was() -> None:
    levels = ("privacy.level", "privacy.record_level")
    patient = scrub({"hospital.patient.id_token": "1"}, POLICY, TOKENS)
    assert [patient[name] for name in (*levels, "privacy.class")] == [3, 4, ["personal"]]
    staff = scrub({"user.id": "1", "hospital.department.name": "ICU"}, POLICY, TOKENS)
    assert [staff[name] for name in (*levels, "privacy.class")] == [2, 2, ["resources"]]
    assert scrub({}, POLICY, TOKENS) == {"privacy.policy_version": "p2", "privacy.level": 2, "privacy.record_level": 2}


def test_the_label_of_a_special_disease_leaves_as_special() -> None:
    doc = {"hospital.patient.id_token": "1", "hospital.patient.sensitivity": ["HIV", "R", "PSY"]}
    clean = scrub(doc, POLICY, TOKENS)
    assert clean["hospital.patient.sensitivity"] == ["R", "special"]
    assert (clean["privacy.level"], clean["privacy.record_level"]) == (3, 5)


def test_what_a_sites_table_ranks_above_3_stays_in_the_hospital(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[fields]\n"his." = { level = 4, class = "health" }\n[special]\nlabels = []\n')
    with pytest.raises(ScrubError, match="level 4"):
        scrub({"his.module": "x"}, POLICY, TOKENS, table(own))
    assert scrub({"user.id": "x"}, POLICY, TOKENS, table(own))["privacy.level"] == 2


def test_a_wrong_table_is_refused_naming_its_key(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[fields]\n"his." = { level = 6, class = "health" }\n[special]\nlabels = []\n')
    with pytest.raises(SettingsError, match="level"):
        table(own)


def test_events_say_that_hashes_assure_less_than_random_tokens(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "v", bytes(32))
    assert scrub({"user.id": "x"}, POLICY, vault)["privacy.assurance"] == "random"
    assert scrub({"user.id": "x"}, POLICY, TOKENS)["privacy.assurance"] == "derived"
    assert "privacy.assurance" not in scrub({}, POLICY, vault)
    vault.close()


def test_an_identity_in_a_field_that_no_policy_names_is_replaced_too() -> None:
    doc = {"host.name": f"pc-欧阳修梅-{IDENTITY}", "rule.name": "ok", "tags": ["x", "13812345678", 3], "process.pid": 7}
    clean = scrub(doc, POLICY, TOKENS)
    assert clean["host.name"] == "pc-[name]-[id]"
    assert (clean["rule.name"], clean["tags"], clean["process.pid"]) == ("ok", ["x", "[phone]", 3], 7)


def test_a_number_that_is_an_identity_leaves_with_its_field_and_a_count_stays() -> None:
    doc = {"print.job_id": 13812345678, "source.port": int(IDENTITY), "source.bytes": 13812345678, "process.pid": 7}
    assert set(scrub(doc, POLICY, TOKENS)) & set(doc) == {"source.bytes", "process.pid"}
    assert "source.bytes" not in scrub({"source.bytes": int(IDENTITY)}, POLICY, TOKENS)
