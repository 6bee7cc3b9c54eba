"""A provider configures a collector from afar: what is signed and allowed is tried, all else is refused and told."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.remote import signed
from ingest.remote.allowed import configured
from tests.ingest.relay.running import LINUX, Sender, drained
from tests.ingest.remote.running import Site, http, listens, tcp, toml
from wardwatch.settings import CollectorSettings
from wardwatch.testing.ports import free_port, wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a collector that works by version 3 of its provider."""
    made = Site(tmp_path_factory.mktemp("site"), trial_s=0.3)
    made.publish(3, toml(http(made.listen)))
    with made.stage:
        made.in_force(3)
        yield made


def wardwatch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wardwatch", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_a_published_configuration_is_tried_then_in_force_and_told_everywhere(tmp_path: Path) -> None:
    site, port = Site(tmp_path, trial_s=4), free_port()
    file = tmp_path / "sources.toml"
    file.write_text(toml(http(site.listen), tcp(port, name="icu")))
    with site.stage:
        site.in_force(None)
        data = {"WARDWATCH_DATA_DIR": site.environment["WARDWATCH_DATA_DIR"]}
        done = wardwatch("collector-config", "set", "renai", str(file), "--key", str(site.key_file), **data)
        assert (done.returncode, done.stdout.split(" for")[0]) == (0, "version 1 is published"), done.stderr
        site.in_force(1, trial=True)
        assert site.works()  # with the hospital's token, which the provider does not know
        with socket.create_connection(("127.0.0.1", port)) as out:
            out.sendall((LINUX % (2, 2) + "\n").encode())
        site.in_force(1)
        environment = site.environment | {"WARDWATCH_HEALTH_PORT": str(site.stage.health_port)}
        shown = wardwatch("collector", "status", **environment)
        assert "configuration: version 1 of the provider" in shown.stdout
        assert "icu" in shown.stdout
        wait_until(lambda: site.heartbeats()[-1]["configuration"]["trial_until"] is None, what="heartbeat")
        beat = site.heartbeats()[-1]
        assert beat["configuration"] == {"version": 1, "trial_until": None, "refused": None}
        assert set(beat["sources"]) == {"linux", "icu"}
        again = wardwatch("collector-config", "set", "renai", str(file), "--key", str(site.key_file), **data)
        assert "version 2 is published" in again.stdout


BAD: dict[str, tuple[int, str, dict[str, Any], str]] = {
    "no signature": (11, "renai", {"signature": "?"}, "version 11 is not signed by the provider for renai"),
    "signature": (12, "renai", {"signature": base64.b64encode(b"x" * 64).decode()}, "version 12 is not signed"),
    "text changed": (13, "renai", {"text": toml(tcp(2))}, "version 13 is not signed"),
    "version changed": (2, "renai", {"version": 99}, "version 99 is not signed"),
    "other tenant": (14, "zhongxin", {}, "version 14 is not signed by the provider for renai"),
    "older": (2, "renai", {}, "version 2 is not newer than 3"),
    "of the same number": (3, "renai", {}, "version 3 is not newer than 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_row_that_is_not_the_providers_newest_for_this_hospital_is_refused(site: Site, case: str) -> None:
    version, tenant, changes, reason = BAD[case]
    site.publish(version, toml(tcp(1)), tenant, changes)
    wait_until(lambda: reason in site.refusal(), what=reason)
    assert site.told()["version"] == 3
    assert site.works()


def test_a_row_that_is_none_is_refused(site: Site) -> None:
    site.put({"version": "many"})
    wait_until(lambda: "no configuration" in site.refusal(), what="refused")
    assert site.works()


FORBIDDEN = {
    "not TOML": ("{[", "is not TOML"),
    "another section": ("log_level = 'debug'\n" + toml(tcp(1)), "log_level can't be set from afar"),
    "data_dir": ("data_dir = '/tmp'\n" + toml(tcp(1)), "data_dir can't be set from afar"),
    "bus": ("bus = 'kafka://evil:9092'\n" + toml(tcp(1)), "bus can't be set from afar"),
    "spool": ("[collector]\nspool_bytes = 9\n" + toml(tcp(1)), "collector.spool_bytes can't be set from afar"),
    "token_key": ("[collector]\ntoken_key = '/k'\n" + toml(tcp(1)), "collector.token_key can't be set from afar"),
    "the key itself": ("[collector]\nconfigured_by = '/k'\n" + toml(tcp(1)), "collector.configured_by can't be set"),
    "token": (toml(http(1, token="mine")), "collector.sources.0.token can't be set from afar"),
    "query": (
        toml({"parser": "linux", "transport": "sql", "url": "mysql://h/d", "query": "SELECT 1"}),
        "collector.sources.0.query can't be set from afar",
    ),
    "password in a URL": (
        toml({"parser": "linux", "transport": "sftp", "url": "sftp://me:hush@h/f"}),
        "url holds a user or password",
    ),
    "file": (toml({"parser": "linux", "transport": "file", "path": "/etc/shadow"}), "is below no folder that may be"),
    "mapping": (toml(tcp(1, parser="mapped:/etc/passwd")), "is below no folder that may be read"),
    "no source": ("[collector]\nzone = 'UTC'\n", "it has no source"),
    "no table": ("[collector]\nsources = [1]\n", "collector.sources is no list of tables"),
    "unknown parser": (toml(tcp(1, parser="nothing")), "unknown: 'nothing'"),
    "unknown transport": (toml(tcp(1, transport="pigeon")), "sources.0.transport = 'pigeon'"),
    "unknown zone": (toml(tcp(1), more="[collector]\nzone = 'Mars/Base'\n"), "zone = 'Mars/Base'"),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_may_not_be_said_from_afar_is_refused_and_the_sources_go_on(site: Site, case: str) -> None:
    text, reason = FORBIDDEN[case]
    site.publish(9, text)
    wait_until(lambda: reason in site.refusal(), what=reason)
    assert site.told()["version"] == 3
    assert not site.told()["ok"]
    assert site.works()


def test_files_below_a_folder_that_the_hospital_names_are_read_and_a_way_out_of_it_is_not(tmp_path: Path) -> None:
    site, logs = Site(tmp_path, trial_s=0.3), tmp_path / "logs"
    logs.mkdir()
    (logs / "auth.log").write_text(LINUX % (3, 3) + "\n")
    file = {"parser": "linux", "transport": "file"}
    with site.stage:
        site.publish(1, toml(file | {"path": f"{logs}/../x.log"}))
        wait_until(lambda: "is below no folder that may be read" in site.refusal(), what="refused")
        site.publish(1, toml(file | {"path": f"{logs}/*.log"}))
        wait_until(site.event_ids, what="read")
        site.in_force(1)


def test_a_port_that_is_taken_brings_the_sources_before_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with socket.socket() as other, site.stage:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        site.publish(1, toml(http(site.listen), tcp(taken)))
        wait_until(lambda: f"127.0.0.1:{taken} can't be opened" in site.refusal(), what="refused")
        assert site.told()["version"] is None
        assert site.works()
        site.stage.kill()
        site.stage.start()  # and it isn't tried again
        site.in_force(None)
        assert "can't be opened" in site.refusal()
        assert (tmp_path / "collector.log").read_text().count("configuration_on_trial") == 1
        site.publish(2, toml(http(site.listen)))
        site.in_force(2, trial=True)


def test_a_source_that_is_no_longer_parsed_brings_the_sources_before_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.stage:
        site.post(*(LINUX % (number, number) for number in range(30)))
        wait_until(lambda: site.stage.parts()["spool"]["waiting"] == 0, what="settled")
        site.publish(1, toml(http(site.listen, parser="suricata")))
        site.in_force(1, trial=True)
        site.post(*(LINUX % (number, number) for number in range(30, 60)))
        wait_until(lambda: "of 30 records" in site.refusal(), what="refused")
        site.in_force(None)
        assert site.works()
        wait_until(lambda: site.stage.parts()["spool"]["waiting"] == 0, what="settled")
        assert len(site.event_ids()) == 31


def test_a_part_that_fails_during_the_trial_brings_the_sources_before_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.stage:
        nowhere = {"parser": "linux", "transport": "kafka", "url": f"kafka://127.0.0.1:{free_port()}/logs"}
        site.publish(1, toml(http(site.listen), nowhere))
        wait_until(lambda: "poller kafka" in site.refusal(), what="refused")
        site.in_force(None)
        assert "fails" in site.refusal()
        assert site.works()
        assert not any(name.startswith("poller") for name in site.stage.parts())


def test_what_was_applied_stays_after_kill_9_also_while_the_bus_says_nothing(tmp_path: Path) -> None:
    site, port = Site(tmp_path, trial_s=0.3), free_port()
    with site.stage:
        site.publish(1, toml(tcp(port)))
        site.in_force(1)
        site.stage.kill()
        site.put({"version": "many"})
        site.stage.start()
        wait_until(lambda: "no configuration" in site.refusal(), what="asked")
        assert site.told()["version"] == 1
        assert listens(port)
        assert not listens(site.listen)


def test_a_configuration_that_ends_the_process_again_and_again_during_its_trial_is_taken_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.stage:
        site.publish(1, toml(http(site.listen)))
        site.in_force(1, trial=True)
        site.stage.kill()
        site.stage.start()
        site.in_force(1, trial=True)
        site.stage.kill()
        site.stage.start()
        site.in_force(None)
        assert "was started 3 times during the trial" in site.refusal()


def test_a_hospital_that_forbids_later_what_is_applied_gets_its_local_sources_back(tmp_path: Path) -> None:
    site = Site(tmp_path, trial_s=0.3)
    (tmp_path / "logs").mkdir()
    with site.stage:
        site.publish(1, toml({"parser": "linux", "transport": "file", "path": f"{tmp_path}/logs/*.log"}))
        site.in_force(1)
        allowed = site.environment.pop("WARDWATCH_COLLECTOR__REMOTE_PATHS")
        site.stage.kill()
        site.stage.start()
        site.in_force(None)
        assert "is below no folder that may be read" in site.refusal()
        assert site.works()
        site.environment["WARDWATCH_COLLECTOR__REMOTE_PATHS"] = allowed
        site.stage.kill()
        site.stage.start()
        site.in_force(1)


def test_nothing_that_was_acknowledged_is_lost_across_switches_and_a_roll_back(tmp_path: Path) -> None:
    site = Site(tmp_path, trial_s=0.3)
    sender = Sender(site.listen)
    with socket.socket() as other, site.stage:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with sender.sending():
            for version in range(1, 5):
                seen = sender.acknowledged + 60
                wait_until(lambda seen=seen: sender.acknowledged > seen, what="load")  # type: ignore[misc]
                more = [tcp(other.getsockname()[1])] if version == 3 else []
                site.publish(version, toml(http(site.listen), *more))
                site.in_force(version if version != 3 else 2)
        wait_until(lambda: drained(site.stage, sender.acknowledged), what="drained")
    assert sender.acknowledged > 240
    assert len(set(site.event_ids())) == sender.number


def test_the_key_is_its_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    assert wardwatch("collector-config", "key", str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"PUBLIC" in (tmp_path / "signing.key.pub").read_bytes()
    again = wardwatch("collector-config", "key", str(file))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_a_row_is_signed_as_openssl_does(tmp_path: Path) -> None:
    public = signed.make_key(tmp_path / "key")
    row = signed.signed(signed.private_key(tmp_path / "key"), "renai", 7, "x = 1\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(row.signature))
    (tmp_path / "covered").write_bytes(b"wardwatch collector_config 1\0renai\x007\0x = 1\n")
    files = ["-sigfile", str(tmp_path / "signature"), "-rawin", "-in", str(tmp_path / "covered")]
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), *files]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("text", [FORBIDDEN["token"][0], FORBIDDEN["not TOML"][0]])
def test_a_file_that_no_hospital_takes_is_not_published(tmp_path: Path, text: str) -> None:
    signed.make_key(tmp_path / "key")
    (tmp_path / "sources.toml").write_text(text)
    data = {"WARDWATCH_DATA_DIR": str(tmp_path / "data")}
    file, key = str(tmp_path / "sources.toml"), str(tmp_path / "key")
    done = wardwatch("collector-config", "set", "renai", file, "--key", key, **data)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    row = wardwatch("tables", "get", signed.TABLE, signed.KEY, "--tenant", "renai", **data)
    assert row.returncode == 1


def test_a_secret_never_goes_to_another_place_than_the_hospitals() -> None:
    own = {"parser": "linux", "transport": "s3", "url": "s3://logs/a", "user": "u", "password": "hush"}
    local = CollectorSettings.model_validate({"tenant": "renai", "sources": [own]})
    seen = {name: value for name, value in own.items() if name != "password"}
    kept = configured(toml(seen | {"zone": "UTC"}), local).sources[0]
    assert (kept.password.get_secret_value(), kept.zone) == ("hush", "UTC")
    for moved in ({"url": "s3://logs/b"}, {"endpoint": "https://evil"}, {"user": "v"}, {"region": "x.evil"}):
        assert json.dumps("hush") not in configured(toml(seen | moved), local).model_dump_json()
        assert configured(toml(seen | moved), local).sources[0].password.get_secret_value() == ""
