"""``wardwatch collector`` as a service team runs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest.listeners.http import items
from ingest.parsers import PARSERS, parser
from tests.ingest.running import HL7, linux
from wardwatch.demo.stand import write_certificate
from wardwatch.settings import load
from wardwatch.testing.ports import free_block, free_port, wait_until


def collector(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wardwatch", "collector", *arguments],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@dataclass
class Site:
    """A settings file with HL7 over MLLP, Linux over TCP and UDP; ``port`` is MLLP's, then come TCP's and UDP's."""

    folder: Path
    port: int
    health_port: int

    @property
    def config(self) -> Path:
        return self.folder / "collector.toml"

    def write(self, more: str = "") -> None:
        listen = [f'listen = "127.0.0.1:{self.port + number}"' for number in range(3)]
        kinds = (("hl7v2", "mllp"), ("linux", "tcp"), ("huawei_usg", "udp"))
        sources = "".join(
            f'[[collector.sources]]\nparser = "{name}"\ntransport = "{transport}"\n{address}\n'
            for (name, transport), address in zip(kinds, listen, strict=True)
        )
        head = f'data_dir = "{self.folder / "data"}"\nhealth_port = {self.health_port}\n'
        self.config.write_text(f'{head}[collector]\ntenant = "renai"\n{sources}{more}', "utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return collector(*arguments, "--config", str(self.config))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the collector in a process of its own."""
        command = [sys.executable, "-m", "wardwatch", "run", "collector", "--config", str(self.config)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            try:
                wait_until(lambda: self.run("status").returncode == 0, what="a collector that answers")
                yield
            finally:
                child.terminate()

    def send(self) -> None:
        """Send two messages that can be read, one that can't, and a login."""
        for data in (HL7 % 1, HL7 % 2, b"MSH|nonsense"):
            with socket.create_connection(("127.0.0.1", self.port)) as peer:
                peer.sendall(b"\x0b" + data + b"\x1c\r")
                assert b"MSA|A" in peer.recv(1000)
        with socket.create_connection(("127.0.0.1", self.port + 1)) as peer:
            peer.sendall(linux(1) + b"\n")

    def tap(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin to look at HL7, and return when the collector shows it."""
        command = [sys.executable, "-m", "wardwatch", "collector", "tap", "hl7v2", "--config", str(self.config)]
        child = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        records = self.folder / "data/collector/renai/reveals.ndjson"
        wait_until(lambda: records.exists() and b'"access"' in records.read_bytes(), what="an audit event of the tap")
        return child

    def states(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("status", "--json").stdout)["sources"]
        return shown


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path, free_block(3), free_port())
    made.write()
    return made


def asked(*answers: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wardwatch", "collector", "init", str(file)]
    return subprocess.run(
        command, input="".join(f"{each}\n" for each in answers), capture_output=True, text=True, check=False, timeout=60
    )


def test_init_writes_a_file_that_check_accepts_and_keeps_to_its_owner(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path / "tls")
    log = tmp_path / "server_audit.log"
    log.touch()
    port, file = free_block(4), tmp_path / "collector.toml"
    wanted = (
        f"hl7v2=mllps://127.0.0.1:{port}",
        f"dicom_audit=tls://127.0.0.1:{port + 1}",
        f"windows=https://127.0.0.1:{port + 2}/winlog",
        f"suricata=http://127.0.0.1:{port + 3}/eve",
        f"mysql_audit=file://{log}",
        f"snmp_trap=snmp://127.0.0.1:{port + 3}",
    )
    sources = [argument for each in wanted for argument in ("--source", each)]
    more = ["--certificate", str(chain), "--key", str(key), "--data-dir", str(tmp_path / "data")]
    done = collector("init", str(file), "--tenant", "renai", "--zone", "Asia/Urumqi", *sources, *more)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    checked = collector("check", "--config", str(file), "--json", WARDWATCH_HEALTH_PORT=str(free_port()))
    assert checked.returncode == 0, checked.stdout
    read = load(file).collector
    assert [source.transport for source in read.sources] == ["mllp", "tls", "http", "http", "file", "snmp"]
    assert [source.certificate for source in read.sources] == [chain, chain, chain, None, None, None]
    assert (read.tenant, read.zone, read.sources[2].path) == ("renai", "Asia/Urumqi", "/winlog")
    assert len(read.sources[2].token.get_secret_value()) >= 32
    assert len(read.sources[5].community.get_secret_value()) >= 32
    assert "# Time zone of the hospital.\nzone" in file.read_text("utf-8")
    again = collector("init", str(file), "--tenant", "renai", *sources[:2], *more)
    assert again.returncode == 2
    assert "File exists" in again.stderr


def test_init_asks_for_what_is_missing_and_asks_again_after_a_wrong_answer(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    done = asked("renai", "", "kafka://k:9092", "", "hl7v2=udp://0.0.0.0:1", "hl7v2=mllp://0.0.0.0:2575", "", file=file)
    assert done.returncode == 0, done.stderr
    assert "hl7v2 does not come by 'udp'" in done.stderr
    settings = load(file)
    assert (settings.bus, settings.collector.tenant, settings.collector.zone) == (
        "kafka://k:9092",
        "renai",
        "Asia/Shanghai",
    )
    assert [source.listen for source in settings.collector.sources] == ["0.0.0.0:2575"]


@pytest.mark.parametrize(
    "source",
    [
        *("hl7v2", "vax=tcp://0.0.0.0:1", "linux=mllp://0.0.0.0:1", "linux=tcp://here", "dicom_audit=tls://0.0.0.0:1"),
        *("linux=postgresql://db/his", "openemr=oracle://db/his", "openemr=mysql://soc@db/his", "openemr=mysql://db"),
        *("linux=sftp://soc:hush@host/a.log", "linux=mqtt://soc:hush@host/a", "linux=s3://", "linux=snmp://0.0.0.0:1"),
        *("openemr=mysql://soc:hush@db/his", "linux=kafka://kafka-1:9092", "linux=kafka://kafka-1/topic"),
    ],
)
def test_init_refuses_a_source_that_could_not_work_and_writes_nothing(tmp_path: Path, source: str) -> None:
    done = collector("init", str(tmp_path / "new.toml"), "--tenant", "renai", "--source", source)
    assert done.returncode == 2
    assert "hush" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_init_writes_sources_that_are_asked_so_that_no_sql_is_to_be_written(tmp_path: Path) -> None:
    file, password = tmp_path / "collector.toml", tmp_path / "password"
    wanted = ("oracle_unified=oracle://soc@his-db:1521/HIS", "openemr=mysql://emr/openemr", "linux=kafka://k:9092/a,b")
    sources = [argument for each in wanted for argument in ("--source", each)]
    done = collector("init", str(file), "--tenant", "renai", "--password-file", str(password), *sources)
    assert done.returncode == 0, done.stderr
    oracle, openemr, linux = load(file).collector.sources
    assert (oracle.transport, oracle.url, oracle.user) == ("sql", "oracle://his-db:1521/HIS", "soc")
    assert oracle.password_file == password
    assert (openemr.url, openemr.user, openemr.password_file) == ("mysql://emr/openemr", "", None)
    assert (linux.transport, linux.url) == ("kafka", "kafka://k:9092/a,b")


def test_init_writes_sources_of_files_objects_and_messages(tmp_path: Path) -> None:
    file, key, hosts, password = (tmp_path / name for name in ("collector.toml", "key", "hosts", "password"))
    wanted = (
        "linux=sftp://soc@log-1:2222/var/log/*.log",
        "cloudtrail=s3://AKIA@trail/AWSLogs/",
        "iot_telemetry=mqtts://gw@iot-gw/ward/+/a@b/#",
    )
    sources = [argument for each in wanted for argument in ("--source", each)]
    more = ["--key", str(key), "--known-hosts", str(hosts), "--password-file", str(password)]
    done = collector("init", str(file), "--tenant", "renai", *sources, *more)
    assert done.returncode == 0, done.stderr
    sftp, s3, mqtt = load(file).collector.sources
    assert (sftp.transport, sftp.url, sftp.user) == ("sftp", "sftp://log-1:2222/var/log/*.log", "soc")
    assert (sftp.key, sftp.known_hosts, sftp.password_file) == (key, hosts, password)
    assert (s3.transport, s3.url, s3.user, s3.password_file) == ("s3", "s3://trail/AWSLogs/", "AKIA", password)
    assert (mqtt.transport, mqtt.url, mqtt.user) == ("mqtt", "mqtts://iot-gw/ward/+/a@b/#", "gw")


def test_the_catalogue_names_every_source_with_the_transports_that_carry_it() -> None:
    found = {each["name"]: each for each in json.loads(collector("sources", "--json").stdout)}
    assert list(found) == [name for name in PARSERS if name != "reveal"]
    assert found["hl7v2"]["transports"] == ["mllp", "kafka", "mqtt", "file", "sftp", "s3"]
    assert found["oracle_audit"]["transports"] == ["kafka", "mqtt", "file", "sftp", "s3"]  # its records span lines
    assert (found.pop("snmp_trap")["transports"], found.pop("netflow")["transports"]) == (
        ["snmp", "file"],
        ["flow", "file"],
    )
    for name, each in found.items():
        records = list(parser(name).split(parser(name).sample()))
        one_line = any(b"\n" not in record and b"\r" not in record for record in records)
        assert ("tcp" in each["transports"]) == one_line, name
        assert ("http" in each["transports"]) == any(items(record) == [record] for record in records), name


def test_the_catalogue_is_a_table_for_people() -> None:
    shown = collector("sources").stdout
    assert "HL7 v2 messages" in shown
    assert "udp tcp tls http kafka mqtt file sftp s3" in shown


def test_status_says_what_became_of_the_records_of_each_source(site: Site) -> None:
    with site.running():
        site.send()
        wait_until(lambda: site.states()["linux"]["forwarded"] == 1, what="the login on the bus")
        wait_until(lambda: site.states()["hl7v2"]["waiting"] == 0, what="all on the bus")
        states = site.states()
        table = site.run("status").stdout
    names = ("accepted", "forwarded", "dead_lettered", "filtered", "parsed")
    assert [states["hl7v2"][name] for name in names] == [3, 2, 1, 0, pytest.approx(2 / 3)]
    assert states["linux"]["last_event"] == "2026-03-01T02:11:01.000Z"
    assert states["huawei_usg"]["last_record"] is None
    (row,) = (line for line in table.splitlines() if "hl7v2" in line)
    assert [cell.strip() for cell in row.split("│")[2:8]] == ["3", "66.6 %", "0", "1", "2", "0"]


def test_check_of_a_running_collector_knows_its_own_ports_and_what_arrived(site: Site) -> None:
    with site.running():
        site.send()
        wait_until(lambda: site.states()["hl7v2"]["waiting"] == 0, what="all on the bus")
        done = site.run("check", "--json")
        shown = site.run("check", "--samples").stdout
        elsewhere = collector("check", "--config", str(site.config), WARDWATCH_DATA_DIR=str(site.folder / "other"))
        site.write(f'[[collector.sources]]\nparser = "cef"\ntransport = "tcp"\nlisten = "127.0.0.1:{free_port()}"\n')
        changed = site.run("check", "--json")
    found = [(each["part"].partition(" ")[0], each["state"], each["message"]) for each in json.loads(done.stdout)]
    ports = [(part, state) for part, state, message in found if "held by the running collector" in message]
    assert ports == [("hl7v2", "ok"), ("linux", "ok"), ("huawei_usg", "ok")]
    assert ("hl7v2", "warning", "1 of 3 records could not be read") in [
        (a, b, c.partition(",")[0]) for a, b, c in found
    ]
    assert ("huawei_usg", "warning", "nothing has arrived") in found
    assert done.returncode == 0
    events = [each["sample"] for each in json.loads(done.stdout) if each["sample"]]
    assert [event["event.dataset"] for event in events] == ["hl7.v2", "linux.sshd"]
    assert '"hospital.patient.id_token": "pt_' in shown
    assert "9988" not in shown
    assert ("topics", "ok") in [(part, state) for part, state, _ in found]
    assert elsewhere.returncode == 1
    assert "the running collector works in" in elsewhere.stdout
    assert changed.returncode == 1
    assert "the running collector does not listen on" in changed.stdout


def test_tap_prints_records_for_machines_and_replay_takes_a_file(site: Site) -> None:
    with site.running(), site.tap("--json", "--count", "2") as child:
        site.send()
        out, errors = child.communicate(timeout=60)
        assert (child.returncode, errors) == (0, "")
        first, second = map(json.loads, out.splitlines())
        assert first["raw"].startswith("MSH|")
        assert [row["outcomes"][0]["kind"] for row in (first, second)] == ["forwarded", "forwarded"]
        old = site.folder / "old.hl7"
        old.write_bytes(HL7 % 7)
        done = site.run("replay", str(old), "--source", "hl7v2")
        assert (done.returncode, done.stdout) == (
            0,
            "1 record: 1 became events, 0 filtered, 0 dead-lettered\n",
        ), done.stderr


def test_check_before_the_start_passes_and_settings_that_cannot_be_read_are_another_exit_code(site: Site) -> None:
    before = site.run("check")
    assert before.returncode == 0, before.stdout
    assert "no collector answers" in before.stdout
    site.config.write_text("colector = 1\n", "utf-8")
    assert site.run("check").returncode == 2


def test_status_without_a_collector_says_where_none_answers_and_fails(site: Site) -> None:
    done = site.run("status")
    assert done.returncode == 1
    assert f"no collector answers at http://127.0.0.1:{site.health_port}/health" in done.stderr


@pytest.mark.parametrize(
    "command", [[], ["init"], ["sources"], ["check"], ["status"], ["tap"], ["replay"], ["upgrade"]]
)
def test_help_of_the_collector_teaches_by_example(command: list[str]) -> None:
    shown = collector(*command, "--help").stdout
    assert "Example" in shown
    assert "wardwatch collector " in shown
