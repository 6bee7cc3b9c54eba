"""Records of a big hospital for the benchmark of the collector: no two are the same."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import orjson

from bench.rules import DATA
from wardwatch.demo.hospital import Machine, Patient
from wardwatch.demo.messages import dicom_access, dicom_query, dicom_transfer

PATIENTS, STAFF, MACHINES = 20_000, 800, 4_000
_MORNING = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
_SURNAMES, _GIVEN = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰"
_WARDS = ("心内科", "ICU", "急诊科", "影像科", "呼吸科", "骨科", "儿科", "产科", "神经内科", "肿瘤科", "EMERG", "NICU")

Make = Callable[[int, int], list[bytes]]
"""Returns so many records of a round; each round has other ones."""


def _chance(name: str, turn: int) -> Random:
    return Random(f"{name} {turn}")


def _name(chance: Random) -> str:
    return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.randint(1, 2)))


def _time(chance: Random) -> datetime:
    return _MORNING + timedelta(seconds=chance.randrange(86_400), milliseconds=chance.randrange(1000))


def _ip(chance: Random) -> str:
    machine = chance.randrange(MACHINES)
    return f"10.{machine % 7 + 1}.{machine // 250}.{machine % 250 + 1}"


def _outside(chance: Random) -> str:
    network = chance.choice((23, 47, 104, 203))
    return f"{network}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


def _port(chance: Random) -> int:
    return chance.randrange(1024, 65536)


def hl7_adt(count: int, turn: int) -> list[bytes]:
    """Return ADT messages (HL7 v2.5, chapter 3) with all that a hospital's system fills in, 1.2 KB each."""
    chance = _chance("adt", turn)
    return [_adt(chance, f"{turn:04}{number:08}") for number in range(count)]


def _adt(chance: Random, control: str) -> bytes:
    patient, staff, doctor = chance.randrange(PATIENTS), chance.randrange(STAFF), chance.randrange(STAFF)
    trigger = chance.choice(("A01", "A02", "A03", "A04", "A08", "A08", "A08", "A11"))
    time, name, ward = _time(chance).strftime("%Y%m%d%H%M%S"), _name(chance), chance.choice(_WARDS)
    born, phone = f"19{chance.randint(30, 99)}0{chance.randint(1, 9)}1{chance.randint(0, 9)}", f"138{patient:08}"
    street = f"健康路{patient % 300}号^^杭州^^310000^CHN"
    segments = (
        f"MSH|^~\\&|HIS|H1|LIS|H1|{time}||ADT^{trigger}^ADT_{trigger}|{control}|P|2.5|||AL|NE|CHN|UNICODE UTF-8",
        f"EVN|{trigger}|{time}|||d{staff:05}^{name[0]}^主任|{time}",
        f"PID|1||MR{patient:07}^^^H1^MR~33010{patient % 10}{born}{patient % 10000:04}^^^CN^NI~{patient:09}^^^YB^SS||"
        f"{name}^^^^^^L||{born}|F|||{street}||{phone}^PRN^PH|||M||V{patient:09}|||||杭州||||||N",
        "PD1|||社区卫生服务中心^^H1|||||||||N",
        f"NK1|1|{name[0]}国强|SPO^配偶|{street}|{phone}||C^紧急联系人",
        f"NK1|2|{name[0]}秀英|MTH^母亲|{street}|{phone}||N^联系人",
        f"PV1|1|I|{ward}^{chance.randrange(40):02}^{chance.randrange(6)}^H1^^BED|R|||d{doctor:05}^{name[0]}^主任|||"
        f"MED||||1|||d{doctor:05}^{name[0]}^主任|IP|V{patient:09}^^^H1|YB||||||||||||||||||||H1||ACTIVE|||{time}",
        f"PV2|||^{ward}观察||||||{time}|5|||||||||||||N",
        f"AL1|1|DA|PEN^青霉素|MO|皮疹|{born}",
        f"DG1|1||I{chance.randrange(99):02}.9^冠状动脉性心脏病^I10||{time}|A",
        f"IN1|1|YB01^城镇职工医保|330100|杭州市医保局||||||||||||1|{name}|SEL|{born}|{street}",
    )
    return "\r".join(segments).encode() + b"\r"


def hl7_results(count: int, turn: int) -> list[bytes]:
    """Return ORU^R01 messages (HL7 v2.5, chapter 7) of eight results."""
    chance = _chance("oru", turn)
    return [_oru(chance, f"{turn:04}{number:08}") for number in range(count)]


def _oru(chance: Random, control: str) -> bytes:
    patient, doctor, order = chance.randrange(PATIENTS), chance.randrange(STAFF), chance.randrange(10**8)
    time, name = _time(chance).strftime("%Y%m%d%H%M%S"), _name(chance)
    results = (
        f"OBX|{place}|NM|{2000 + place}-{place}^SODIUM^LN||{chance.randrange(90, 160)}|mmol/L|137-147|N|||F|||{time}"
        for place in range(8)
    )
    segments = (
        f"MSH|^~\\&|LIS|H1|HIS|H1|{time}||ORU^R01^ORU_R01|{control}|P|2.5|||||CHN|UNICODE UTF-8",
        f"PID|1||MR{patient:07}^^^H1^MR||{name}||19700101|M",
        f"PV1|1|I|{chance.choice(_WARDS)}^01^02^H1||||d{doctor:05}^{name[0]}|||||||||||IP|V{patient:09}",
        f"ORC|RE|P{order:08}|F{order:08}||CM||||{time}|d{doctor:05}^{name[0]}",
        f"OBR|1|P{order:08}|F{order:08}|24326-1^电解质^LN|||{time}|||||||||d{doctor:05}",
        *results,
    )
    return "\r".join(segments).encode() + b"\r"


def windows(count: int, turn: int) -> list[bytes]:
    """Return real Windows events of 2.6 KB beside the checkout (NXLog's JSON), other ones each round, else invented."""
    file = DATA / "windows-events.ndjson.gz"
    if not file.exists():
        return _logons(count, turn)
    found = _real(file)
    step = len(found) // count  # every so many, since neighbours are of one kind
    return found[turn % step :: step][:count]


@cache
def _real(file: Path) -> list[bytes]:
    with gzip.open(file) as lines:
        return [line.rstrip(b"\n") for line in lines]


def json_objects(count: int) -> list[bytes]:
    """Return JSON objects of 2.3 to 2.5 KB, as the reference decodes them."""
    found = [line for line in windows(20 * count, 0) if 2300 <= len(line) < 2500]
    padded = (
        orjson.dumps(orjson.loads(line) | {"Padding": "x y " * (590 - len(line) // 4)}) for line in _logons(count, 0)
    )
    return found or list(padded)


def _logons(count: int, turn: int) -> list[bytes]:
    chance = _chance("windows", turn)
    return [orjson.dumps(_logon(chance)) for _ in range(count)]


def _logon(chance: Random) -> dict[str, object]:
    account, address, machine = f"d{chance.randrange(STAFF):05}", _ip(chance), f"WS-{chance.randrange(MACHINES):04}"
    time = _time(chance).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {
        "SubjectUserSid": "S-1-0-0",
        "TargetUserSid": f"S-1-5-21-526538150-889687948-186688817-{chance.randrange(9999)}",
        "TargetUserName": account,
        "TargetDomainName": "RENAI",
        "TargetLogonId": f"0x{chance.randrange(2**24):x}",
        "LogonType": str(chance.choice((2, 3, 3, 3, 10))),
        "LogonProcessName": "NtLmSsp",
        "AuthenticationPackageName": "NTLM",
        "WorkstationName": machine,
        "IpAddress": address,
        "IpPort": str(_port(chance)),
        "ProcessName": "C:\\Windows\\System32\\lsass.exe",
    }
    return {
        "EventTime": time,
        "@timestamp": time,
        "Hostname": f"{machine}.renai.local",
        "Channel": "Security",
        "EventID": chance.choice((4624, 4625, 4634, 4672)),
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "RecordNumber": chance.randrange(10**8),
        "Message": "An account was successfully logged on.\r\n" + "\r\n".join(f"\t{k}:\t{v}" for k, v in data.items()),
        **data,
    }


def huawei_usg(count: int, turn: int) -> list[bytes]:
    """Return policy and session logs of a Huawei USG firewall."""
    chance = _chance("usg", turn)
    return [_usg(chance) for _ in range(count)]


def _usg(chance: Random) -> bytes:
    time, inside, outside, port, rule = (
        _time(chance),
        _ip(chance),
        _outside(chance),
        _port(chance),
        chance.randrange(60),
    )
    to = chance.choice((53, 80, 443, 1433, 3389))
    if chance.random() < 0.5:
        brief = chance.choice(("POLICYPERMIT", "POLICYDENY"))
        return (
            f"<190>{time:%Y-%m-%d %H:%M:%S} fw-east %%01POLICY/6/{brief}(l): vsys=public, protocol=6, "
            f"source-ip={inside}, source-port={port}, destination-ip={outside}, destination-port={to}, "
            f"source-zone=trust, destination-zone=untrust, application-name=, rule-name=clinic-{rule}."
        ).encode()
    return (
        f"<190>{time:%b} {time.day:2} {time:%Y %H:%M:%S} fw-east %%01SECLOG/6/SESSION_TEARDOWN(l)"
        f"[{chance.randrange(10**6)}]: IPVer=4,Protocol=tcp,SourceIP={inside},DestinationIP={outside},"
        f"SourcePort={port},DestinationPort={to},"
        f"SourceNatIP=192.0.2.{chance.randrange(8)},SourceNatPort={_port(chance)},"
        f"SendPkts={chance.randrange(900)},SendBytes={chance.randrange(10**6)},RcvPkts={chance.randrange(900)},"
        f"RcvBytes={chance.randrange(10**7)},SourceZone=trust,DestinationZone=untrust,PolicyName=clinic-{rule},"
        "CloseReason=aged-out."
    ).encode()


def h3c(count: int, turn: int) -> list[bytes]:
    """Return policy and session logs of an H3C firewall."""
    chance = _chance("h3c", turn)
    return [_h3c(chance) for _ in range(count)]


def _h3c(chance: Random) -> bytes:
    time, inside, outside, port, rule = (
        _time(chance),
        _ip(chance),
        _outside(chance),
        _port(chance),
        chance.randrange(60),
    )
    to = chance.choice((53, 80, 443, 1433, 3389))
    head = f"<190>{time:%b} {time.day:2} {time:%H:%M:%S %Y} FW-East "
    flow = (
        f"SrcIPAddr(1003)={inside};SrcPort(1004)={port};DstIPAddr(1007)={outside};DstPort(1008)={to};"
        if chance.random() < 0.5
        else ""
    )
    if flow:
        return (
            f"{head}%%10FILTER/6/FILTER_ZONE_IPV4_EXECUTION: SrcZoneName(1025)=Trust;DstZoneName(1035)=Untrust;"
            f"Type(1067)=ACL;SecurityPolicy(1072)=Trust-Untrust;RuleID(1078)={rule};Protocol(1001)=TCP;"
            f"Application(1002)=https;{flow}MatchCount(1069)=1;Event(1048)={chance.choice(('Permit', 'Deny'))};"
        ).encode()
    return (
        f"{head}%%10SESSION/6/SESSION_IPV4_FLOW: Protocol(1001)=TCP;Application(1002)=http;SrcIPAddr(1003)={inside};"
        f"SrcPort(1004)={port};NatSrcIPAddr(1005)=192.0.2.1;NatSrcPort(1006)={_port(chance)};"
        f"DstIPAddr(1007)={outside};DstPort(1008)={to};NatDstIPAddr(1009)={outside};NatDstPort(1010)={to};"
        f"InitPktCount(1044)={chance.randrange(900)};InitByteCount(1046)={chance.randrange(10**6)};"
        f"RplyPktCount(1045)={chance.randrange(900)};RplyByteCount(1047)={chance.randrange(10**6)};"
        "Event(1048)=(2)Session aged out;"
    ).encode()


def cef(count: int, turn: int) -> list[bytes]:
    """Return connection logs of a firewall in CEF, of machines and accounts."""
    chance = _chance("cef", turn)
    return [_cef(chance) for _ in range(count)]


def _cef(chance: Random) -> bytes:
    time = _time(chance)
    return (
        f"<134>1 {time:%Y-%m-%dT%H:%M:%S}+08:00 fw1 cef - - - CEF:0|Check Point|VPN-1|R81|accept|Connection accepted|"
        f"Low|rt={int(time.timestamp() * 1000)} src={_ip(chance)} dst={_outside(chance)} "
        f"spt={_port(chance)} dpt={chance.choice((53, 80, 443))} proto=6 act=Accept "
        f"suser=d{chance.randrange(STAFF):05} "
        f"in={chance.randrange(10**6)} out={chance.randrange(10**6)} deviceDirection=1 "
        f"cs1Label=Rule cs1={chance.randrange(60)}"
    ).encode()


def dicom_audit(count: int, turn: int) -> list[bytes]:
    """Return audit messages of a PACS: instances looked at, transfers, queries."""
    chance = _chance("dicom", turn)
    return [_audit(chance) for _ in range(count)]


def _audit(chance: Random) -> bytes:
    number, address = chance.randrange(PATIENTS), _ip(chance)
    patient = Patient(f"MR{number:07}", _name(chance), "", "", f"V{chance.randrange(10**8):08}", "ICU")
    place = Machine(f"m{number}", f"ws-{number % MACHINES}", "workstation", "high", "影像科", True, address, "WS7")
    at, staff = _time(chance), f"d{chance.randrange(STAFF):05}"
    match chance.randrange(3):
        case 0:
            return dicom_access(at, patient=patient, staff=staff, place=place, purpose=True)
        case 1:
            count = chance.randrange(1, 2000)
            return dicom_transfer(
                at,
                patient=patient,
                staff=staff,
                pacs=place,
                to_ae=f"WS{number % 90}",
                to_ip=_ip(chance),
                instances=count,
            )
        case _:
            return dicom_query(at, patient=patient, staff=staff, place=place)
