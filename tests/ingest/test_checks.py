"""``wardwatch collector check``: every fault that a service team meets is found, with a remedy."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.checks import Finding, arrived, authorities, certificate, check, rights, sample
from ingest.collector import run
from ingest.health_page import SourceState
from tests.ingest.pollers.servers import PASSWORD, USER, Server
from tests.ingest.running import settings_of
from wardwatch.bus import open_bus
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import SettingsError
from wardwatch.settings import Settings, SourceSettings
from wardwatch.stage import Runtime
from wardwatch.testing.ports import free_port
from wardwatch.topics import Topic


def tcp(listen: str, **more: object) -> SourceSettings:
    return SourceSettings.model_validate({"parser": "linux", "transport": "tcp", "listen": listen, **more})


def found(settings: Settings, part: str) -> list[Finding]:
    return [finding for finding in check(settings) if finding.part.startswith(part)]


@pytest.mark.parametrize(
    ("kind", "transport"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp"), (socket.SOCK_DGRAM, "flow")]
)
def test_a_port_that_another_process_holds_fails_and_a_free_one_does_not(
    tmp_path: Path, kind: socket.SocketKind, transport: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        if transport == "tcp":
            other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        sources = [tcp(taken, transport=transport), tcp(f"127.0.0.1:{free_port()}", transport=transport)]
        held, free = found(settings_of(tmp_path, *sources), "linux")
    assert (held.state, free.state) == ("FAILS", "ok")
    assert "Address already in use" in held.message
    assert held.remedy


def test_an_address_that_is_none_and_a_parser_that_is_none_fail(tmp_path: Path) -> None:
    wrong, unknown = found(settings_of(tmp_path, tcp("here"), tcp("127.0.0.1:0", parser="linuks")), "linu")
    assert (wrong.state, unknown.state) == ("FAILS", "FAILS")
    assert "'here' is not host:port" in wrong.message
    assert "linuks" in unknown.message


def test_two_sources_of_one_port_fail_but_http_sources_share_one_by_path_and_udp_and_tcp_are_apart(
    tmp_path: Path,
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    web = [tcp(listen, transport="http", path=path, token="secret") for path in ("/a", "/b")]
    assert not found(settings_of(tmp_path, *web, tcp(listen, transport="udp")), "settings")
    (twice,) = found(settings_of(tmp_path, *web, web[0]), "settings")
    assert f"2 sources listen on {listen}/a" in twice.message
    (twice,) = found(settings_of(tmp_path, tcp(listen), tcp(listen, transport="mllp")), "settings")
    assert (twice.state, twice.message) == ("FAILS", f"2 sources listen on {listen}")


def test_an_http_source_without_a_token_and_a_file_source_without_a_path_fail(tmp_path: Path) -> None:
    sources = [tcp("127.0.0.1:0", transport="http", path="/a"), SourceSettings(parser="linux", transport="file")]
    failing = [one.message for one in found(settings_of(tmp_path, *sources), "linux") if one.state == "FAILS"]
    assert failing == ["an HTTP source needs path and token", "a file source has no path"]


def test_settings_without_a_source_fail(tmp_path: Path) -> None:
    (finding,) = found(settings_of(tmp_path), "settings")
    assert finding.state == "FAILS"
    assert "collector init" in finding.remedy


def test_a_bus_that_does_not_answer_fails(tmp_path: Path) -> None:
    nowhere = settings_of(tmp_path, tcp("127.0.0.1:0")).model_copy(update={"bus": f"kafka://127.0.0.1:{free_port()}"})
    (finding,) = found(nowhere, "bus")
    assert finding.state == "FAILS"
    assert "firewall" in finding.remedy


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "collector").write_bytes(b"")
    (finding,) = found(settings_of(tmp_path, tcp("127.0.0.1:0")), "folder")
    assert finding.state == "FAILS"


def test_a_disk_smaller_than_the_spool_is_a_warning(tmp_path: Path) -> None:
    source = tcp("127.0.0.1:0")
    assert [finding.state for finding in found(settings_of(tmp_path, source), "disk")] == ["ok"]
    large = settings_of(tmp_path, source, spool_bytes=2**60)
    assert [finding.state for finding in found(large, "disk")] == ["warning"]


def test_a_key_of_tokens_that_others_may_read_fails(tmp_path: Path) -> None:
    key = tmp_path / "collector" / "renai" / "token.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    (finding,) = found(settings_of(tmp_path, tcp("127.0.0.1:0")), "token key")
    assert (finding.state, finding.remedy) == ("FAILS", f"chmod 600 {key}")


def test_a_community_that_everybody_knows_and_weak_protocols_are_warnings(tmp_path: Path) -> None:
    values = {"parser": "snmp_trap", "transport": "snmp", "listen": "127.0.0.1:0"}
    user = {"name": "ups", "auth": "md5", "auth_password": "maplesyrup"}
    sources = [values, values | {"community": "public"}, values | {"users": [user]}]
    findings = found(settings_of(tmp_path, *map(SourceSettings.model_validate, sources)), "snmp_trap snmp")
    told = [(finding.state, finding.message) for finding in findings if "is free" not in finding.message]
    assert told == [
        ("FAILS", "nobody may send here"),
        ("warning", "everybody knows the community public"),
        ("warning", "MD5 or DES protect ups"),
    ]


def test_a_file_source_says_how_many_files_its_glob_names(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"")
    sources = [
        SourceSettings(parser="linux", transport="file", path=str(tmp_path / name)) for name in ("*.log", "*.gone")
    ]
    there, gone = found(settings_of(tmp_path, *sources), "linux file")
    assert (there.state, there.message) == ("ok", "1 file readable")
    assert gone.state == "warning"


@pytest.mark.parametrize(
    ("days", "state", "message"),
    [(0, "ok", "valid until"), (340, "warning", "valid until"), (366, "FAILS", "expired"), (-2, "FAILS", "only from")],
)
def test_a_certificate_is_judged_by_its_dates(tmp_path: Path, days: int, state: str, message: str) -> None:
    chain, key = write_certificate(tmp_path)
    finding = certificate("pacs", chain, key, datetime.now(UTC) + timedelta(days=days))
    assert finding.state == state
    assert message in finding.message


def test_a_certificate_with_the_key_of_another_or_without_one_fails(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path / "one")
    _, other = write_certificate(tmp_path / "two")
    assert certificate("pacs", chain, key).state == "ok"
    assert "is not the key of" in certificate("pacs", chain, other).message
    assert "No such file" in certificate("pacs", chain, tmp_path / "none.key").message
    assert "is no PEM" in certificate("pacs", key, key).message
    assert certificate("pacs", None, None).state == "FAILS"


def test_a_listener_that_speaks_tls_has_its_certificate_and_its_authorities_checked(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    source = tcp("127.0.0.1:0", parser="hl7v2", transport="mllp", certificate=chain, key=key, authorities=chain)
    valid = [each.part for each in found(settings_of(tmp_path, source), "hl7v2") if "is valid until" in each.message]
    assert valid == ["hl7v2 mllp 127.0.0.1:0", "hl7v2 mllp 127.0.0.1:0 authorities"]
    lone = tcp("127.0.0.1:0", parser="hl7v2", transport="mllp", authorities=chain)
    assert "TLS needs certificate and key" in [each.message for each in found(settings_of(tmp_path, lone), "hl7v2")]
    assert authorities("hl7v2", chain, datetime.now(UTC) + timedelta(days=340)).state == "warning"
    assert "is no PEM" in authorities("hl7v2", key).message
    assert "No such file" in authorities("hl7v2", tmp_path / "none.pem").message


def test_http_sources_of_one_address_that_differ_in_tls_fail(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    listen = f"127.0.0.1:{free_port()}"
    plain = tcp(listen, transport="http", path="/a", token="secret")
    secure = tcp(listen, transport="http", path="/b", token="secret", certificate=chain, key=key)
    (finding,) = found(settings_of(tmp_path, plain, secure), "settings")
    assert finding.message == f"HTTP sources of {listen} differ in TLS"


@pytest.mark.parametrize(
    ("counts", "state"),
    [((0, 0, 0, 0), "warning"), ((100, 98, 0, 2), "warning"), ((10, 4, 0, 6), "FAILS"), ((10, 6, 4, 0), "ok")],
)
def test_a_source_is_judged_by_the_share_that_was_parsed(counts: tuple[int, int, int, int], state: str) -> None:
    assert arrived("linux", SourceState(*counts)).state == state


def test_a_source_whose_events_lie_in_the_future_is_a_warning() -> None:
    ahead = SourceState(1, 1, 0, 0, "2026-03-01T10:11:09.000Z", "2026-03-01T02:11:09.000Z")
    assert "its clock runs ahead" in arrived("linux", ahead).message
    late = SourceState(1, 1, 0, 0, "2026-03-01T02:11:09.000Z", "2026-03-01T10:24:09.000Z")
    assert arrived("linux", late).state == "ok"


def test_topics_that_may_not_be_written_fail_and_missing_ones_are_a_warning(tmp_path: Path) -> None:
    assert rights({"a": True, "b": False}).state == "FAILS"
    assert rights({"a": True, "b": None}).state == "warning"
    assert rights({"a": True, "b": True}).state == "ok"
    (missing,) = found(settings_of(tmp_path, tcp("127.0.0.1:0")), "topics")
    assert (missing.state, missing.remedy) == ("warning", "the provider runs wardwatch init with this tenant")


def test_a_sample_names_the_fields_in_which_tokens_stand() -> None:
    token = "pt_" + "0" * 24
    event = {
        "@timestamp": "2026-03-01T02:11:09.000Z",
        "event.action": "hl7-adt-a08",
        "a": token,
        "b": [token],
        "c": "x",
    }
    assert sample("hl7v2", event).message == "2026-03-01T02:11:09.000Z hl7-adt-a08: tokens in a, b"
    assert sample("hl7v2", event).sample == event


def test_a_folder_that_depends_on_where_the_collector_is_started_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (relative,) = found(settings_of(Path("data"), tcp("127.0.0.1:0")), "folder")
    assert (relative.state, "data_dir 'data'" in relative.message) == ("warning", True)
    assert not found(settings_of(tmp_path / "data", tcp("127.0.0.1:0")), "folder")


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("2026-03-01T02:10:30.000Z", "warning"),  # eight hours and a second: UTC read as Shanghai's
        ("2026-03-01T04:40:30.000Z", "warning"),  # five and a half
        ("2026-03-01T03:25:00.000Z", "ok"),  # a backlog
        ("2026-03-01T10:10:00.000Z", "ok"),  # live
        ("2026-02-01T10:10:31.000Z", "ok"),  # an old file
    ],
)
def test_events_that_are_whole_half_hours_old_when_they_arrive_point_to_the_zone(event: str, state: str) -> None:
    found = arrived("x", SourceState(3, 3, 0, 0, event, "2026-03-01T10:10:31.000Z"))
    assert found.state == state
    assert ("zone" in found.remedy) == (state == "warning")


def rows(url: str, **more: object) -> SourceSettings:
    values = {"parser": "openemr", "transport": "sql", "url": url, "user": USER, "password": PASSWORD}
    return SourceSettings.model_validate(values | more)


def test_rows_of_a_database_are_tried_and_what_is_missing_is_named(tmp_path: Path, mariadb: Server) -> None:
    def look(**more: object) -> Finding:
        (finding, *_) = found(settings_of(tmp_path, rows(mariadb.url, **more)), "openemr sql")
        return finding

    assert look().state == "FAILS"
    assert "his.log" in look().message
    columns = "date datetime, event text, category text, user text, groupname text, patient_id int, success int"
    mariadb.execute(f"CREATE TABLE log (id bigint auto_increment primary key, {columns})")
    assert "log_from" in look().message
    mariadb.execute("ALTER TABLE log ADD COLUMN log_from varchar(20)")
    assert (look().state, look().message) == ("warning", "the database answers and has no row yet")
    mariadb.execute("INSERT INTO log (date, event, user) VALUES ('2026-03-01 02:11:09', 'login', 'chen')")
    assert look().message == "a row of 2026-02-28T18:11:09.000Z can be read"
    unread = look(query="SELECT id, event FROM log")
    assert unread.state == "FAILS"
    assert "not a time" in unread.message
    refused = look(password="wrong-hush")
    assert "Access denied" in refused.message
    assert "hush" not in refused.message + refused.remedy
    mariadb.execute("DROP TABLE log")


def test_two_sources_that_would_share_a_cursor_are_found_and_refused(tmp_path: Path) -> None:
    url = f"postgresql://127.0.0.1:{free_port()}/his"
    settings = settings_of(tmp_path, rows(url, parser="his_operations"), rows(url, parser="his_operations"))
    shared = [(each.state, each.message) for each in found(settings, "settings")]
    assert shared == [("FAILS", f"2 sources ask {url}")]
    with pytest.raises(SettingsError, match="2 sources ask"):
        run(settings, Runtime("collector"))
    apart = settings_of(tmp_path, *(rows(f"{url}#{name}", parser="his_operations") for name in ("a", "b")))
    assert found(apart, "settings") == []


@pytest.mark.kafka
def test_topics_that_are_missing_are_named(tmp_path: Path, kafka: str) -> None:
    open_bus(kafka).ensure_topics([Topic("checked", 1, 60)])
    for topics, state in (("checked", "ok"), ("checked,nowhere", "FAILS")):
        source = SourceSettings(parser="linux", transport="kafka", url=f"{kafka}/{topics}")
        (finding, *_) = found(settings_of(tmp_path, source), "linux kafka")
        assert finding.state == state
    assert finding.message == "no topic nowhere"
