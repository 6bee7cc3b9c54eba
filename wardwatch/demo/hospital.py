"""Two simulated hospitals: their people, machines and inventory. Every name is invented."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国志红梅文斌"
_ZONE = ZoneInfo("Asia/Shanghai")
_COLUMNS = (
    "id",
    "name",
    "class",
    "criticality",
    "department",
    "clinical",
    "owner",
    "ips",
    "macs",
    "hostnames",
    "ae_titles",
)
_CLINICAL = ("心内科", "ICU", "急诊科", "影像科", "呼吸科")


@dataclass(frozen=True, slots=True)
class Patient:
    """One invented patient."""

    record_number: str
    name: str
    identity_number: str
    phone: str
    visit: str
    ward: str
    vip: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """One row of the inventory."""

    id: str
    name: str
    kind: str
    criticality: str
    department: str
    clinical: bool
    ip: str
    ae_title: str = ""


@dataclass(frozen=True)
class Hospital:
    """One hospital: ``network`` are the first two numbers of its addresses."""

    tenant: str
    name_en: str
    name_zh: str
    code: str
    network: str
    attacked: bool
    zone: ZoneInfo = _ZONE

    @cached_property
    def patients(self) -> list[Patient]:
        """Sixty patients, the same in every run; the first is a VIP."""
        chance = random.Random(f"patients {self.tenant}")  # noqa: S311 invented people, not secrets
        return [_patient(chance, number, vip=number == 0) for number in range(60)]

    @cached_property
    def staff(self) -> list[str]:
        """Accounts of clinical staff."""
        return [f"d{number:04d}" for number in range(1001, 1025)]

    @cached_property
    def machines(self) -> dict[str, Machine]:
        """The inventory by id."""
        net = self.network
        rows = [
            Machine("bus-01", "esb-01", "server", "his_core", "信息科", False, "127.0.0.1"),
            Machine("his-db", "his-db-02", "his", "his_core", "信息科", False, f"{net}.1.20"),
            Machine("his-app", "his-app-01", "his", "his_core", "信息科", False, f"{net}.1.21"),
            Machine("pacs", "pacs1", "pacs", "diagnostic", "影像科", True, f"{net}.9.7", "PACS1"),
            Machine("ct-1", "ct1", "medical_device", "diagnostic", "影像科", True, f"{net}.9.21", "CT1"),
            Machine("mr-1", "mr1", "medical_device", "diagnostic", "影像科", True, f"{net}.9.22", "MR1"),
            Machine("office-7", "yf-pc-07", "office", "office", "药剂科", False, f"{net}.5.77"),
            Machine("office-8", "cw-pc-08", "office", "office", "财务科", False, f"{net}.5.78"),
            Machine("jump", "jump-01", "server", "his_core", "信息科", False, f"{net}.1.30"),
        ]
        rows += [
            Machine(f"ws-{n}", f"ws-{n:02d}", "workstation", "diagnostic", ward, True, f"{net}.3.{n}", f"WS{n:02d}")
            for n, ward in enumerate(_CLINICAL * 4, start=10)
        ]
        rows += [
            Machine(f"pump-{n}", f"pump-icu-{n}", "medical_device", "life_support", "ICU", True, f"{net}.8.{n}")
            for n in range(30, 36)
        ]
        return {machine.id: machine for machine in rows}

    @property
    def workstations(self) -> list[Machine]:
        """Machines at which clinical staff work."""
        return [machine for machine in self.machines.values() if machine.kind == "workstation"]

    def inventory(self) -> str:
        """Return the inventory as the CSV that ``wardwatch tables load assets`` reads."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for m in self.machines.values():
            clinical = "true" if m.clinical else "false"
            row = [m.id, m.name, m.kind, m.criticality, m.department, clinical, "", m.ip, "", m.name, m.ae_title]
            writer.writerow(row)
        return out.getvalue()


def _patient(chance: random.Random, number: int, *, vip: bool) -> Patient:
    name = chance.choice(_SURNAMES) + "".join(chance.sample(_GIVEN, 2))
    born = f"19{chance.randint(40, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}"
    return Patient(
        record_number=f"M{700000 + number * 17}",
        name=name,
        identity_number=_with_check_digit(f"110101{born}{chance.randint(100, 999)}"),
        phone=f"139{chance.randint(10_000_000, 99_999_999)}",
        visit=f"V{900000 + number * 13}",
        ward=_CLINICAL[number % len(_CLINICAL)],
        vip=vip,
    )


def _with_check_digit(first_17: str) -> str:
    """Append the check digit of GB 11643-1999 (ISO 7064, MOD 11-2)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(first_17, weights, strict=True))
    return first_17 + "10X98765432"[total % 11]


HOSPITALS = (
    Hospital("renai", "Renai Hospital", "仁爱医院", "RENAI", "10.1", attacked=False),
    Hospital("zhongxin", "City Central Hospital", "市中心医院", "ZXYY", "10.3", attacked=True),
)
