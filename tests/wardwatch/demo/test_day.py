from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest

from wardwatch.demo.day import EXPECTED, day, moment
from wardwatch.demo.hospital import HOSPITALS, Hospital


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.tenant)
def test_the_same_day_is_the_same_bytes(hospital: Hospital) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=hospital.zone)
    twice = [[step.make(moment(hospital, midnight, step.at_s)) for step in day(hospital, events=70)] for _ in range(2)]
    assert twice[0] == twice[1]


def test_only_the_attacked_hospital_has_a_story_and_expected_alerts() -> None:
    attacked = {hospital.tenant for hospital in HOSPITALS if any(step.story for step in day(hospital))}
    assert attacked == {tenant for tenant, _ in EXPECTED} == {"zhongxin"}


def test_nothing_of_the_story_travels_on_a_transport_that_may_lose_it() -> None:
    assert not [step for hospital in HOSPITALS for step in day(hospital) if step.story and step.source.endswith("_udp")]


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.tenant)
def test_the_inventory_is_csv_with_every_machine_once(hospital: Hospital) -> None:
    rows = list(csv.DictReader(io.StringIO(hospital.inventory())))
    assert {row["id"] for row in rows} == set(hospital.machines)
    assert len(rows) == len({row["ips"] for row in rows})


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.tenant)
def test_identity_numbers_carry_the_check_digit_of_the_standard(hospital: Hospital) -> None:
    for patient in hospital.patients:
        digits = [10 if digit == "X" else int(digit) for digit in patient.identity_number]
        total = sum(value * pow(2, 17 - place, 11) for place, value in enumerate(digits))
        assert total % 11 == 1
