"""What happens on the simulated day: the noise of both hospitals and the attack on one of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from wardwatch.demo import messages
from wardwatch.demo.hospital import Hospital

Make = Callable[[datetime], bytes]
SYSMON = "Microsoft-Windows-Sysmon/Operational"
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"

EXPECTED: dict[tuple[str, str], int] = {
    ("zhongxin", "dicom_vip_access_unexplained"): 2,  # one for each of the two curious members of staff
    ("zhongxin", "dicom_mass_retrieval"): 1,
    ("zhongxin", "windows_shadow_copy_deletion"): 1,
    ("zhongxin", "windows_defender_disabled"): 1,
    ("zhongxin", "mysql_tongfang"): 1,
    ("zhongxin", "firewall_medical_device_to_internet"): 1,
    ("zhongxin", "linux_ssh_root_login"): 1,
}
"""(tenant, rule) → alerts that the day must raise; every other alert is one too many."""


@dataclass(frozen=True, slots=True)
class Step:
    """One record: when in the local day (seconds), which source sends it and how its bytes are made.

    ``story`` marks the attack; ``refused`` a record that no parser can read, as every hospital has some.
    """

    at_s: int
    source: str
    make: Make
    story: bool = False
    refused: bool = False


def day(hospital: Hospital, *, events: int = 1200) -> list[Step]:
    """Return the day's steps in order: about ``events`` of noise, a few unreadable records, and the story."""
    steps = [*_noise(hospital, events), *_unreadable()]
    if hospital.attacked:
        steps += _story(hospital)
    return sorted(steps, key=lambda step: step.at_s)


def moment(hospital: Hospital, midnight: datetime, at_s: int) -> datetime:
    """Return the moment ``at_s`` seconds after the hospital's midnight of that day."""
    return midnight.astimezone(hospital.zone) + timedelta(seconds=at_s)


def _noise(hospital: Hospital, events: int) -> Iterator[Step]:
    chance = random.Random(f"noise {hospital.tenant}")  # noqa: S311 a reproducible day, not a secret
    sources = ("hl7v2", "dicom_audit", "windows", "linux", "huawei_usg", "huawei_usg_udp", "mysql_audit")
    for number in range(events):
        source = sources[number % len(sources)]
        at_s = chance.randrange(7 * 3600, 20 * 3600)
        yield Step(at_s, source, _NOISE[source](hospital, chance, number))


def _hl7(hospital: Hospital, chance: random.Random, number: int) -> Make:
    patient, staff = chance.choice(hospital.patients), chance.choice(hospital.staff)
    control = f"{hospital.code}{number:06d}"
    if number % 5 == 0:
        return partial(messages.hl7_query, hospital=hospital, patient=patient, control=control)
    trigger = chance.choice(("A01", "A03", "A04", "A08"))
    return partial(messages.hl7, hospital=hospital, trigger=trigger, patient=patient, staff=staff, control=control)


def _dicom(hospital: Hospital, chance: random.Random, number: int) -> Make:
    patient, staff = chance.choice(hospital.patients), chance.choice(hospital.staff)
    place, pacs = chance.choice(hospital.workstations), hospital.machines["pacs"]
    if number % 3 == 0:
        transfer = partial(messages.dicom_transfer, patient=patient, staff=staff, pacs=pacs)
        return partial(transfer, to_ae=place.ae_title, to_ip=place.ip, instances=chance.randint(20, 400))
    if number % 3 == 1:
        return partial(messages.dicom_query, patient=patient, staff=staff, place=place)
    return partial(messages.dicom_access, patient=patient, staff=staff, place=place, purpose=True)


def _windows(hospital: Hospital, chance: random.Random, number: int) -> Make:
    host, staff = chance.choice(hospital.workstations), chance.choice(hospital.staff)
    event = partial(messages.windows, hospital=hospital, host=host)
    if number % 2:
        logon = {"TargetUserName": staff, "TargetDomainName": hospital.code, "LogonType": "2", "IpAddress": host.ip}
        return partial(event, channel="Security", event=4624, TargetLogonId=hex(number), **logon)
    program = chance.choice(("C:\\HIS\\doctor.exe", "C:\\PACS\\viewer.exe", "C:\\Windows\\explorer.exe"))
    user = f"{hospital.code}\\{staff}"
    data = {"Image": program, "CommandLine": f'"{program}"', "User": user, "ProcessId": str(number)}
    return partial(event, channel=SYSMON, event=1, **data)


def _linux(hospital: Hospital, chance: random.Random, number: int) -> Make:
    jump, port = hospital.machines["jump"], chance.randint(30000, 60000)
    lines = (
        ("sshd", f"Accepted publickey for ops from {jump.ip} port {port} ssh2: ED25519 SHA256:0a1b2c"),
        ("sudo", "     ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/systemctl status his"),
        ("sshd", f"Failed password for ops from {jump.ip} port {port} ssh2"),
    )
    program, text = lines[number % len(lines)]
    host = hospital.machines["his-app"]
    return partial(messages.linux, host=host, program=program, pid=2000 + number, text=text)


def _usg(hospital: Hospital, chance: random.Random, number: int) -> Make:
    source, permit = chance.choice(hospital.workstations).ip, number % 4 != 0
    to, port = ("203.0.113.80", 443) if permit else (f"{hospital.network}.1.20", 1521)
    rule = f"rule-{number % 7}"
    return partial(messages.huawei_usg, hospital=hospital, source=source, to=to, port=port, rule=rule, permit=permit)


def _mysql(hospital: Hospital, chance: random.Random, number: int) -> Make:
    patient = chance.choice(hospital.patients)
    statements = (
        "SELECT name, birth FROM patient_master WHERE patient_id = '{0.record_number}'",
        "SELECT * FROM OUTP_BILL_ITEMS WHERE visit_no = '{0.visit}' AND item_no < 20",
        "UPDATE bed_rec SET status = '1' WHERE ward = '{0.ward}'",
    )
    sql = chance.choice(statements).format(patient)
    client = hospital.machines["his-app"].ip
    return partial(messages.mysql_audit, hospital=hospital, client=client, connection=number, sql=sql)


_NOISE: dict[str, Callable[[Hospital, random.Random, int], Make]] = {
    "hl7v2": _hl7,
    "dicom_audit": _dicom,
    "windows": _windows,
    "linux": _linux,
    "huawei_usg": _usg,
    "huawei_usg_udp": _usg,
    "mysql_audit": _mysql,
}


def _unreadable() -> Iterator[Step]:
    yield Step(9 * 3600, "hl7v2", lambda _: b"PID|1||no header segment\r", refused=True)
    yield Step(10 * 3600, "windows", lambda _: b'{"EventID": 4624, "Channel": "Secur', refused=True)
    yield Step(11 * 3600, "mysql_audit", lambda _: b"Trailing words of a log that was cut", refused=True)


def _story(hospital: Hospital) -> Iterator[Step]:
    yield from _mass_retrieval(hospital)
    yield from _ransomware_precursor(hospital)
    yield from _curious_staff(hospital)
    yield from _tongfang(hospital)


def _story_step(hours: int, minutes: int, source: str, make: Make) -> Step:
    return Step(hours * 3600 + minutes * 60, source, make, story=True)


def _mass_retrieval(hospital: Hospital) -> Iterator[Step]:
    """Three large transfers to a laptop nobody knows, and a pump that talks to the Internet."""
    transfer = partial(messages.dicom_transfer, staff=hospital.staff[3], pacs=hospital.machines["pacs"])
    to_laptop = partial(transfer, to_ae="LAPTOP9", to_ip=f"{hospital.network}.6.77")
    for minutes, patient in ((11, 1), (31, 2), (52, 3)):
        make = partial(to_laptop, patient=hospital.patients[patient], instances=1500 + 100 * minutes)
        yield _story_step(2, minutes, "dicom_audit", make)
    pump = hospital.machines["pump-31"].ip
    call = partial(messages.huawei_usg, hospital=hospital, source=pump, to="198.51.100.23", rule="any", permit=True)
    yield _story_step(2, 20, "huawei_usg", partial(call, port=443))
    yield _story_step(2, 24, "huawei_usg", partial(call, port=8443))


def _ransomware_precursor(hospital: Hospital) -> Iterator[Step]:
    """A root login, the virus scanner off, the shadow copies gone: what comes before encryption."""
    jump, program = hospital.machines["jump"].ip, "C:\\Windows\\System32\\vssadmin.exe"
    login = f"Accepted password for root from {jump} port 40022 ssh2"
    root = partial(messages.linux, host=hospital.machines["his-app"], program="sshd", pid=911, text=login)
    yield _story_step(3, 1, "linux", root)
    event = partial(messages.windows, hospital=hospital, host=hospital.machines["his-db"])
    yield _story_step(3, 4, "windows", partial(event, channel=DEFENDER, event=5001))
    command = {"CommandLine": "vssadmin.exe delete shadows /all /quiet"}
    sysmon = {"Image": program, "User": f"{hospital.code}\\hisadmin", "ProcessId": "4711", **command}
    yield _story_step(3, 5, "windows", partial(event, channel=SYSMON, event=1, **sysmon))
    security = {"NewProcessName": program, "SubjectUserName": "hisadmin", "NewProcessId": "0x1267", **command}
    yield _story_step(3, 6, "windows", partial(event, channel="Security", event=4688, **security))


def _curious_staff(hospital: Hospital) -> Iterator[Step]:
    """Two people in offices look at a VIP's images and give no purpose."""
    look = partial(messages.dicom_access, patient=hospital.patients[0], purpose=False)
    pharmacy = partial(look, staff=hospital.staff[5], place=hospital.machines["office-7"])
    finance = partial(look, staff=hospital.staff[9], place=hospital.machines["office-8"])
    for minutes, make in ((40, pharmacy), (44, pharmacy), (51, pharmacy), (58, finance)):
        yield _story_step(12, minutes, "dicom_audit", make)


def _tongfang(hospital: Hospital) -> Iterator[Step]:
    """Prescriptions summed by doctor and drug at night (统方)."""
    sql = (
        "SELECT m.PRESC_DOCTOR, d.DRUG_NAME, SUM(d.QUANTITY), SUM(d.COSTS) FROM DRUG_PRESC_MASTER m "
        "JOIN DRUG_PRESC_DETAIL d ON m.PRESC_NO = d.PRESC_NO WHERE m.PRESC_DATE >= '2026-01-01' "
        "GROUP BY m.PRESC_DOCTOR, d.DRUG_NAME"
    )
    query = partial(messages.mysql_audit, hospital=hospital, client=hospital.machines["office-7"].ip, sql=sql)
    yield _story_step(23, 10, "mysql_audit", partial(query, connection=9001))
    yield _story_step(23, 25, "mysql_audit", partial(query, connection=9002))
