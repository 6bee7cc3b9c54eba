"""Windows events: the same event in every shape, real corpora where they are, and hostile input."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tarfile
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Parsed, Record, Site
from ingest.parsers.windows import PARSER
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.errors import ParseError
from wardwatch.event import LogSource, encode

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared/data beside the checkout")
SITE = Site(ZoneInfo("Asia/Shanghai"))
SYSMON = "Microsoft-Windows-Sysmon/Operational"
TIME = "2026-03-01T02:11:09.120Z"
STARTED: dict[str, Any] = {
    "Image": "C:\\Windows\\System32\\vssadmin.exe",
    "CommandLine": "vssadmin delete shadows /all",
    "User": "ZX\\hisadmin",
    "ProcessId": "4711",
    "ParentImage": "C:\\Windows\\System32\\cmd.exe",
    "Hashes": "SHA256=00AA,IMPHASH=11BB",
}


def one(record: object) -> Parsed:
    data = record if isinstance(record, bytes) else orjson.dumps(record)
    (parsed,) = PARSER.parse(Record(data), SITE)
    encode(parsed.doc)
    return parsed


def nxlog(channel: str, event_id: int, **data: Any) -> Parsed:
    return one({"TimeCreated": TIME, "EventID": event_id, "Hostname": "WS7", "Channel": channel, **data})


def shapes() -> dict[str, dict[str, Any]]:
    provider, system = "Microsoft-Windows-Sysmon", {"EventRecordID": 5, "Channel": SYSMON, "Computer": "WS7"}
    winlog = {"event_id": 1, "channel": SYSMON, "provider_name": provider, "computer_name": "WS7", "record_id": 5}
    dotted = {f"winlog.{name}": value for name, value in winlog.items()}
    attributes = {"#attributes": {"Name": provider}}
    time = {"#attributes": {"SystemTime": TIME}}
    return {
        "nxlog": {
            "TimeCreated": TIME,
            "EventID": 1,
            "Channel": SYSMON,
            "SourceName": provider,
            "Hostname": "WS7",
            "RecordNumber": 5,
            "Message": "Process Create",
            **STARTED,
        },
        "winlogbeat": {"@timestamp": TIME, "winlog": {**winlog, "event_data": STARTED}},
        "winlogbeat dotted": {
            "@timestamp": TIME,
            **dotted,
            **{f"winlog.event_data.{name}": value for name, value in STARTED.items()},
        },
        "winlogbeat 6": {
            "@timestamp": TIME,
            "log_name": SYSMON,
            "event_id": 1,
            "source_name": provider,
            "computer_name": "WS7",
            "record_number": "5",
            "event_data": STARTED,
        },
        "evtx_dump": {
            "Event": {
                "System": {"Provider": attributes, "EventID": 1, "TimeCreated": time, **system},
                "EventData": STARTED,
            }
        },
        "evtx_dump with qualifiers": {
            "Event": {
                "System": {
                    "Provider": attributes,
                    "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 1},
                    "TimeCreated": time,
                    **system,
                },
                "EventData": STARTED,
            }
        },
    }


@pytest.mark.parametrize("shape", shapes())
def test_one_event_reads_the_same_in_every_shape(shape: str) -> None:
    parsed = one(shapes()[shape])
    assert parsed.logsource == LogSource("windows", "process_creation", "sysmon")
    assert parsed.doc == {
        "@timestamp": TIME,
        "event.kind": "event",
        "event.module": "windows",
        "event.dataset": "windows.sysmon",
        "event.code": "1",
        "event.action": "process-created",
        "event.category": ["process"],
        "event.type": ["start"],
        "event.outcome": "success",
        "winlog.event_id": 1,
        "winlog.channel": SYSMON,
        "winlog.provider_name": "Microsoft-Windows-Sysmon",
        "winlog.computer_name": "WS7",
        "winlog.record_id": "5",
        "host.name": "WS7",
        "process.executable": "C:\\Windows\\System32\\vssadmin.exe",
        "process.name": "vssadmin.exe",
        "process.pid": 4711,
        "process.command_line": "vssadmin delete shadows /all",
        "process.parent.executable": "C:\\Windows\\System32\\cmd.exe",
        "process.parent.name": "cmd.exe",
        "process.hash.sha256": "00aa",
        "user.name": "hisadmin",
        "user.domain": "ZX",
        **{f"winlog.event_data.{name}": value for name, value in STARTED.items()},
    }


def test_a_logon_names_who_came_from_where() -> None:
    parsed = nxlog("security", 4624, TargetUserName="li.na", LogonType=3, IpAddress="::ffff:10.3.9.14", IpPort="50122")
    assert parsed.logsource == LogSource("windows", "", "security")
    assert parsed.doc["event.category"] == ["authentication"]
    assert parsed.doc["event.outcome"] == "success"
    assert parsed.doc["user.name"] == "li.na"
    assert (parsed.doc["source.ip"], parsed.doc["source.port"]) == ("10.3.9.14", 50122)
    assert parsed.doc["winlog.logon.type"] == "3"


def test_a_failed_logon_is_a_failure_and_its_empty_address_is_absent() -> None:
    doc = nxlog("Security", 4625, TargetUserName="admin", IpAddress="-", IpPort="-").doc
    assert doc["event.outcome"] == "failure"
    assert "source.ip" not in doc
    assert doc["winlog.event_data.IpAddress"] == "-"


@pytest.mark.parametrize(
    ("event_id", "event_type", "category"),
    [(12, "CreateKey", "registry_add"), (12, "DeleteKey", "registry_delete"), (13, "SetValue", "registry_set")],
)
def test_registry_events_have_sigmas_categories(event_id: int, event_type: str, category: str) -> None:
    assert nxlog(SYSMON, event_id, EventType=event_type, TargetObject="HKLM\\A").logsource.category == category


def test_audited_processes_are_process_creation_with_hexadecimal_ids() -> None:
    parsed = nxlog("Security", 4688, NewProcessName="C:\\a\\b.exe", NewProcessId="0x1267", ProcessId="0x10")
    assert parsed.logsource == LogSource("windows", "process_creation", "security")
    assert (parsed.doc["process.pid"], parsed.doc["process.parent.pid"]) == (0x1267, 0x10)


@pytest.mark.parametrize("shape", ["flat", "user data"])
def test_a_print_job_leaves_without_its_documents_name(shape: str) -> None:
    names = ["12", "张三 discharge", "li.na", "\\\\DOC-07", "WARD7-LASER", "IP_10.3.4.9", "81920", "3"]
    job = {f"Param{number}": value for number, value in enumerate(names, 1)}
    channel = "Microsoft-Windows-PrintService/Operational"
    system = {"EventID": 307, "Channel": channel, "TimeCreated": {"#attributes": {"SystemTime": TIME}}}
    wrapped = {"Event": {"System": system, "UserData": {"DocumentPrinted": {"#attributes": {"xmlns": "x"}, **job}}}}
    parsed = nxlog(channel, 307, Message="Document 12, 张三 discharge", **job) if shape == "flat" else one(wrapped)
    clean = scrub(parsed.doc, PARSER.policy, HmacTokens(bytes(32)))
    assert "张三".encode() not in encode(clean)
    assert (clean["print.pages"], clean["print.printer"], clean["user.name"]) == (3, "WARD7-LASER", "li.na")


def test_local_event_times_are_read_in_the_sites_zone() -> None:
    doc = one({"EventID": 1, "Channel": SYSMON, "EventTime": "2026-03-01 02:11:09"}).doc
    assert doc["@timestamp"] == "2026-02-28T18:11:09.000Z"


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"not json",
        b'{"EventID": 4624, "Channel": "Secur',
        b"[1]",
        b"{}",
        b'{"EventID": "x"}',
        b'{"EventID": 123456}',
        b'{"EventID": true}',
        b'{"EventID": 1, "TimeCreated": "yesterday"}',
        b'{"EventID": 1, "TimeCreated": "0001-01-01T00:00:00+08:00"}',
        b'{"Event": {"System": 7}}',
        b'{"EventID": 1, "' + b"n" * 200 + b'": 1}',
        b"{" + b",".join(b'"n%d": 1' % number for number in range(600)) + b', "EventID": 1}',
        b'{"a":' * 100_000,
        b"{" + b" " * 1_000_000 + b"}",
    ],
)
def test_what_is_no_event_is_refused(record: bytes) -> None:
    with pytest.raises(ParseError):
        one(record)


def test_a_refusal_quotes_nothing_of_the_record() -> None:
    for record in (
        b"canary7",
        b'{"canary7": 1}',
        b'{"EventID": "canary7"}',
        b'{"EventID": 1, "TimeCreated": "canary7"}',
    ):
        with pytest.raises(ParseError) as refused:
            one(record)
        assert "canary7" not in str(refused.value)


NAMES = ["EventID", "Channel", "TimeCreated", "winlog", "winlog.event_id", "Event", "System", "EventData", "ProcessId"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=5),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON)
    | st.builds(
        lambda data: {"EventID": 1, **data},
        st.dictionaries(st.sampled_from([*STARTED, "Channel", "SourceIp", "Message"]), JSON),
    )
)
def test_any_json_is_an_event_or_refused(record: dict[str, Any]) -> None:
    with contextlib.suppress(ParseError):
        one({"Channel": SYSMON, **record})


@given(st.binary(max_size=200))
def test_any_bytes_split_and_are_refused_or_read(data: bytes) -> None:
    for record in PARSER.split(data):
        with contextlib.suppress(ParseError):
            one(record)


def test_a_file_splits_into_its_objects_however_they_are_strung_together() -> None:
    objects = [{"EventID": number, "Text": 'a "brace" } {', "Inner": {"list": [1, {"a": []}]}} for number in range(3)]
    compact = [orjson.dumps(item) for item in objects]
    pretty = [orjson.dumps(item, option=orjson.OPT_INDENT_2) for item in objects]
    array = orjson.dumps(objects, option=orjson.OPT_INDENT_2)
    for file in (
        b"\n".join(compact),
        b"\r\n".join(compact),
        b"".join(compact),
        b"\n".join(pretty),
        b"".join(pretty),
        b",\n".join(compact) + b",\n",
        array,
        b"\xef\xbb\xbf" + b"\n".join(compact),
    ):
        assert [orjson.loads(record) for record in PARSER.split(file)] == objects


def test_a_cut_object_spoils_only_itself() -> None:
    assert list(PARSER.split(b'{"EventID": 1}\n{"EventID": 2, "a": {"b\n{"EventID": 3}\nrubbish\n')) == [
        b'{"EventID": 1}',
        b'{"EventID": 2, "a": {"b',
        b'{"EventID": 3}',
        b"rubbish",
    ]


@pytest.mark.parametrize("data", [b"ElfFile\x00", b"ElfFile\x00" + bytes(5000) + b"x" * 70_000])
def test_damaged_evtx_files_are_refused_not_ignored(data: bytes) -> None:
    records = list(PARSER.split(data))
    assert records
    for record in records:
        with pytest.raises(ParseError, match="EVTX"):
            one(record)


def sound_evtx(events: int) -> bytes:
    """Return a file of empty chunks that match their checksums."""
    chunk = bytearray(65_536)
    chunk[:8] = b"ElfChnk\x00"
    chunk[48:52] = (512).to_bytes(4, "little")
    chunk[124:128] = crc32(bytes(chunk[:120]) + bytes(chunk[128:512])).to_bytes(4, "little")
    return b"ElfFile\x00" + bytes(34) + events.to_bytes(2, "little") + bytes(4052) + bytes(chunk) * events


def test_an_evtx_file_that_its_reader_never_ends_is_refused_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "endless"
    program.write_text(
        f"#!{sys.executable}\n"
        "from ingest.parsers import evtx_file\n"
        "def chunk_records(_):\n"
        "    while True:\n"
        "        pass\n"
        "evtx_file._chunk_records = chunk_records\n"
        "evtx_file.main()\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    (record,) = PARSER.split(sound_evtx(1))
    with pytest.raises(ParseError, match="time and memory"):
        one(record)


@needs_data
def test_a_changed_byte_of_an_evtx_file_refuses_its_chunk(tmp_path: Path) -> None:
    file = next(iter(_regression(tmp_path))).with_suffix(".evtx")
    data = bytearray(file.read_bytes())
    data[5000] ^= 0xFF
    (record,) = PARSER.split(bytes(data))
    with pytest.raises(ParseError, match="chunk 0 does not match its checksum"):
        one(record)
    for size in (60_000, 4096, 100):
        for record in list(PARSER.split(file.read_bytes()[:size])) or [b"{}"]:
            with pytest.raises(ParseError, match="EVTX"):
                one(record)


@needs_data
def test_real_events_all_parse() -> None:
    with gzip.open(DATA / "windows-events.ndjson.gz") as file:
        records = list(PARSER.split(file.read()))
    assert len(records) == 58_551
    for record in records[::50]:
        parsed = one(record)
        raw = orjson.loads(record)
        assert parsed.doc["winlog.event_id"] == raw.get("EventID", raw.get("event_id"))
        assert parsed.logsource.product == "windows"


@needs_data
def test_evtx_files_and_their_json_agree(tmp_path: Path) -> None:
    files = _regression(tmp_path)
    assert len(files) > 100
    events = 0
    for file in files:
        from_json, from_evtx = _documents(file), _documents(file.with_suffix(".evtx"))
        assert from_json == from_evtx, file.name
        events += len(from_json)
    assert events == 126


def _regression(folder: Path) -> list[Path]:
    with tarfile.open(DATA / "sigmahq-regression.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.rglob("*.json"))


def _documents(file: Path) -> list[tuple[dict[str, object], LogSource]]:
    """Return a file's events; the corpus's JSON lost the spaces at the end of texts."""
    found = [one(record) for record in PARSER.split(file.read_bytes())]
    return [({name: _stripped(value) for name, value in item.doc.items()}, item.logsource) for item in found]


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value
