"""``wardwatch detect`` as an analyst runs it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import typer
import yaml
from typer.testing import Result

from detections.cli.detect import detect as command
from tests.detections.cli.running import invoke, written
from tests.detections.rules_under_test import RULE_ID, rule_document

SAMPLES = Path(__file__).parents[3] / "ingest" / "samples"
DETECT: tuple[str | Path, ...] = (sys.executable, "-m", "wardwatch", "detect")
SSH = {"product": "linux", "service": "sshd"}
HL7 = {"product": "hl7", "service": "v2"}
ROOT_LOGIN = {"event.id": "e1", "event.dataset": "linux.sshd", "user.name": "root"}
SSHD = b"Mar  1 02:12:00 lis-02 sshd[3310]: Accepted password for root from 198.51.100.7 port 41000 ssh2\n"
NOISE = b"Mar  1 02:12:00 lis-02 sshd[3310]: Invalid user test from 198.51.100.7 port 41000\n"


def detect(*arguments: object, data: bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(command)
    return invoke(app, *arguments, text=data)


def matches(result: Result) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_a_match_names_file_record_rule_level_event_and_what_matched(folder: Path) -> None:
    lines = [orjson.dumps({**ROOT_LOGIN, "user.name": "alice"}), orjson.dumps(ROOT_LOGIN)]
    (folder / "events.ndjson").write_bytes(b"\n".join(lines))
    result = detect("--rules", folder / "root.yml", folder / "events.ndjson")
    assert result.exit_code == 0
    assert matches(result) == [
        {
            "file": str(folder / "events.ndjson"),
            "record": 2,
            "rule_id": RULE_ID,
            "rule_title": "A rule",
            "level": "high",
            "event_id": "e1",
            "@timestamp": None,
            "matched": {"user.name": ["root"]},
        }
    ]


@pytest.mark.parametrize(
    ("file", "source", "titles"),
    [
        ("dicom_audit.log", "dicom_audit", {1: "Mass retrieval of DICOM images"}),
        ("hl7v2.hl7", "hl7v2", {}),
        ("huawei_usg.log", "huawei_usg", {}),
        ("linux.log", "linux", {1: "Direct login of root over SSH"}),
        ("mysql_audit.csv", "mysql_audit", {3: "Prescriptions summed by doctor and drug"}),
        ("windows.ndjson", "windows", {3: "Shadow copies deleted", 4: "Shadow copies deleted"}),
    ],
)
def test_a_file_of_every_source_is_recognised_and_scanned(file: str, source: str, titles: dict[int, str]) -> None:
    result = detect(SAMPLES / file)
    assert result.exit_code == 0
    assert f"{file}: read as {source} (" in result.stderr
    assert titles.items() <= {each["record"]: each["rule_title"] for each in matches(result)}.items()


def test_rules_of_sigmahq_match_their_evtx_files_at_least_as_often_as_sigmahq_says(
    sigmahq_files: Path, regression: Path
) -> None:
    wanted = Counter[tuple[str, str]]()
    for info in regression.rglob("info.yml"):
        said = yaml.safe_load(info.read_text("utf-8"))
        for test in said["regression_tests_info"]:
            wanted[said["rule_metadata"][0]["id"], Path(test["path"]).name] += test.get("match_count", 1)
    result = detect("--rules", sigmahq_files, *regression.rglob("*.evtx"))
    found = Counter((each["rule_id"], Path(each["file"]).name) for each in matches(result))
    assert len(wanted) > 90
    assert wanted <= found


def test_gzip_and_standard_input_give_the_matches_of_the_plain_file(folder: Path) -> None:
    plain, packed = folder / "auth.log", folder / "auth.log.gz"
    plain.write_bytes(NOISE + SSHD)
    packed.write_bytes(gzip.compress(NOISE + SSHD))
    runs = [
        detect("--rules", folder / "root.yml", plain),
        detect("--rules", folder / "root.yml", packed),
        detect("--rules", folder / "root.yml", "-", data=NOISE + SSHD),
    ]
    assert [[(each["record"], each["matched"]) for each in matches(run)] for run in runs] == [
        [(2, {"user.name": ["root"]})]
    ] * 3


def test_records_that_can_not_be_read_are_named_and_the_others_keep_their_numbers(folder: Path) -> None:
    (folder / "auth.log").write_bytes(NOISE + b"no syslog\n" + SSHD)
    result = detect("--rules", folder / "root.yml", folder / "auth.log")
    assert result.exit_code == 1
    assert f"{folder / 'auth.log'}: record 2: " in result.stderr
    assert [each["record"] for each in matches(result)] == [3]


def test_events_get_the_context_that_rules_ask_for(tmp_path: Path) -> None:
    rule = rule_document({"hospital.off_hours": True, "source.asset.name": "pump-17"}, logsource=SSH)
    (tmp_path / "rule.yml").write_text(written(rule))
    (tmp_path / "assets.csv").write_text("id,name,ips\npump-17,pump-17,10.3.1.9\n")
    event = {"event.dataset": "linux.sshd", "@timestamp": "2026-03-02T12:00:00Z", "source.ip": "10.3.1.9"}
    ran = {
        zone: detect(
            "--rules", tmp_path, "--assets", tmp_path / "assets.csv", "--zone", zone, "-", data=orjson.dumps(event)
        )
        for zone in ("UTC", "Asia/Shanghai")
    }
    assert {zone: len(matches(result)) for zone, result in ran.items()} == {"UTC": 0, "Asia/Shanghai": 1}


def test_what_identifies_a_patient_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(
        written(rule_document({"hospital.patient.id_token|exists": True}, logsource=HL7))
    )
    result = detect("--rules", tmp_path, SAMPLES / "hl7v2.hl7")
    assert matches(result)
    assert "MR204871" not in result.stdout


def test_a_folder_is_walked_and_files_of_no_source_are_skipped_aloud(folder: Path) -> None:
    logs = folder / "logs" / "older"
    logs.mkdir(parents=True)
    (logs / "auth.log").write_bytes(SSHD)
    (logs / "README").write_text("Fetched on Monday.")
    result = detect("--rules", folder / "root.yml", folder / "logs")
    assert (result.exit_code, len(matches(result))) == (0, 1)
    assert "README: skipped" in result.stderr


def test_what_holds_nothing_to_read_is_said_and_nothing_waits_for_a_pipe(folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir()
    os.mkfifo(logs / "pipe")
    nothing = detect("--rules", folder / "root.yml", logs)
    assert (nothing.exit_code, "no file in" in nothing.stderr) == (2, True)
    (logs / "auth.log").touch()
    empty = detect("--rules", folder / "root.yml", logs)
    assert (empty.exit_code, "auth.log: it is empty" in empty.stderr) == (0, True)


def test_of_a_gzip_file_that_ends_early_every_record_before_the_end_is_scanned(folder: Path) -> None:
    events = ({**ROOT_LOGIN, "event.id": str(number), "message": uuid4().hex} for number in range(900))
    lines = b"\n".join(map(orjson.dumps, events))
    (folder / "cut.gz").write_bytes(gzip.compress(lines)[:-20])
    result = detect("--rules", folder / "root.yml", folder / "cut.gz")
    left = zlib.decompressobj(31).decompress((folder / "cut.gz").read_bytes()).count(b"\n")
    assert (result.exit_code, len(matches(result))) == (1, left)
    assert f"cut.gz: after record {left + 1}: damaged gzip" in result.stderr


def test_only_rules_of_the_level_or_above_are_printed(folder: Path) -> None:
    found = {
        level: len(matches(detect("--rules", folder / "root.yml", "--level", level, "-", data=SSHD)))
        for level in ("informational", "high", "critical")
    }
    assert found == {"informational": 1, "high": 1, "critical": 0}


def test_matches_go_to_the_output_file(folder: Path) -> None:
    out = folder / "matches.ndjson"
    result = detect("--rules", folder / "root.yml", "--output", out, "-", data=SSHD)
    assert (result.exit_code, result.stdout) == (0, "")
    assert orjson.loads(out.read_bytes())["rule_id"] == RULE_ID


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such.evtx",),
        ("--rules", "no-such-rules.yml", "-"),
        ("--source", "dishwasher", "-"),
        ("--zone", "Mars/Base", "-"),
        ("--charset", "klingon", "-"),
        ("--output", "no/such/folder/file", "-"),
        (),
    ],
)
def test_what_can_not_run_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert detect(*arguments, data=SSHD).exit_code == 2


def test_a_file_of_no_known_source_exits_with_2_and_says_how_to_choose_one() -> None:
    result = detect("-", data=b"plain words\n")
    assert result.exit_code == 2
    assert "--source NAME" in result.stderr


def test_damaged_gzip_is_named_and_the_other_files_are_scanned(folder: Path) -> None:
    good, cut = folder / "good.log", folder / "cut.log.gz"
    good.write_bytes(SSHD)
    cut.write_bytes(gzip.compress(SSHD * 5)[:-9])
    result = detect("--rules", folder / "root.yml", cut, good)
    assert result.exit_code == 1
    assert "cut.log.gz: after record 5: damaged gzip" in result.stderr
    assert [each["file"] for each in matches(result)][-1] == str(good)


def test_rules_that_are_rejected_are_named_and_the_others_run(folder: Path) -> None:
    (folder / "bad.yml").write_text("title: [")
    result = detect("--rules", folder, "-", data=SSHD)
    assert (result.exit_code, len(matches(result))) == (0, 1)
    assert "bad.yml:1: " in result.stderr


def test_hostile_text_reaches_a_terminal_as_escapes_and_json_readers_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text(written(rule_document({"note|contains": "x"}, logsource=SSH)))
    event = {"event.dataset": "linux.sshd", "note": "x\x9b31m\u202e"}
    result = detect("--rules", tmp_path, "-", data=orjson.dumps(event))
    assert not {"\x9b", "\u202e"} & set(result.stdout)
    assert matches(result)[0]["matched"] == {"note": [event["note"]]}


def test_a_terminal_shows_the_matches_of_each_rule_and_the_totals(folder: Path) -> None:
    (folder / "auth.log").write_bytes(NOISE + SSHD + SSHD)
    mine, theirs = os.openpty()
    program = [*DETECT, "--rules", folder / "root.yml", folder / "auth.log"]
    done = subprocess.run(program, stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=120)
    os.close(theirs)
    said = b""
    while more := _read(mine):
        said += more
    assert len(done.stdout.splitlines()) == 2
    assert b"A rule" in said
    assert b"2 matches of 1 rules (1 loaded, 0 rejected); 1 files, 3 records, 0 unreadable" in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


def test_a_reader_that_stops_reading_is_no_error(folder: Path) -> None:
    (folder / "auth.log").write_bytes(SSHD * 20_000)
    program = [*DETECT, "--rules", folder / "root.yml", folder / "auth.log"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(60) == 0


def correlated(identity: str, rules: list[str], gte: int, **more: Any) -> str:
    body = {"type": "event_count", "rules": rules, "group-by": ["source.ip"], "timespan": "10m"}
    return written(
        {
            "title": f"Correlation {identity[0]}",
            "id": identity,
            "level": "high",
            "correlation": {**body, "condition": {"gte": gte}, **more},
        }
    )


def login(number: int, minute: int, address: str = "10.1.1.1") -> bytes:
    event = {"event.id": f"e{number}", "@timestamp": f"2026-03-01T02:{minute:02}:00.000Z", "source.ip": address}
    return orjson.dumps({**ROOT_LOGIN, **event})


def test_a_correlation_over_files_in_any_order_is_one_line_an_alert_at_its_latest_event(folder: Path) -> None:
    identity = "11111111-1111-4111-8111-111111111111"
    (folder / "three.yml").write_text(correlated(identity, [RULE_ID], 3))
    (folder / "a.ndjson").write_bytes(b"\n".join([login(4, 9), login(1, 0), login(5, 30)]))
    (folder / "b.ndjson").write_bytes(b"\n".join([login(3, 5), login(6, 6, "10.2.2.2"), login(2, 2), login(2, 2)]))
    result = detect("--rules", folder, folder / "a.ndjson", folder / "b.ndjson")
    assert result.exit_code == 0
    assert matches(result) == [
        {
            "file": str(folder / "a.ndjson"),
            "record": 1,
            "rule_id": identity,
            "rule_title": "Correlation 1",
            "level": "high",
            "event_id": "e4",
            "@timestamp": "2026-03-01T02:09:00.000Z",
            "matched": {"event_count": ["4"], "A rule": ["4"]},
        }
    ]


def test_a_correlation_over_correlations_names_the_record_that_completed_it(folder: Path) -> None:
    lower, upper = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
    (folder / "lower.yml").write_text(correlated(lower, [RULE_ID], 2, generate=True))
    (folder / "upper.yml").write_text(correlated(upper, [lower], 2, timespan="1h"))
    (folder / "a.ndjson").write_bytes(b"\n".join([login(4, 41), login(3, 40), login(2, 1), login(1, 0)]))
    result = detect("--rules", folder, "--level", "high", folder / "a.ndjson")
    plain = [(each["record"], each["rule_id"]) for each in matches(result)]
    assert plain == [*((number, RULE_ID) for number in (1, 2, 3, 4)), (1, upper)]
    assert matches(result)[-1]["event_id"] == "e4"
