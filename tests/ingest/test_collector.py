from __future__ import annotations

import random
import signal
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch, helpers
from hl7.client import MLLPClient, MLLPException  # type: ignore[import-untyped]
from pydantic import SecretStr
from typer.testing import CliRunner

from ingest import parsers
from ingest.collector import own_folder, run
from ingest.deadletter import deadletter
from ingest.forwarder import Forwarder
from ingest.parsers import Parsed, Record, Site
from ingest.quarantine import Quarantine, position_of
from tests.ingest.running import HL7, dead_letters, events, generation, linux, on_bus, process, running, settings_of
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.demo.senders import FileSender, HttpSender, Sender, TcpSender
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import NotFound, SettingsError, Unavailable
from wardwatch.settings import Settings, SourceSettings
from wardwatch.stage import EVENTS, Runtime
from wardwatch.testing.ports import free_block, wait_until

LINUX = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")


@dataclass
class LibrarySender:
    """The MLLP client of the hl7 library: each message again until it is answered with AA."""

    port: int
    stopping: threading.Event

    def send(self, records: Sequence[bytes]) -> None:
        left = list(records)
        while left and not self.stopping.is_set():
            with suppress(OSError, MLLPException), MLLPClient("127.0.0.1", self.port) as client:
                while left and b"MSA|AA" in (client.send_message(left[0]) or b""):
                    del left[0]
            self.stopping.wait(0.2 * bool(left))


@dataclass
class BulkSender:
    """The official Elasticsearch client: each bulk again until all its items are answered with 201."""

    url: str
    stopping: threading.Event

    def send(self, records: Sequence[bytes]) -> None:
        actions = [{"_op_type": "create", "_index": "eve", "_source": orjson.loads(record)} for record in records]
        with Elasticsearch(self.url, basic_auth=("suricata", TOKEN), max_retries=0) as client:
            while not self.stopping.is_set():
                try:
                    done = list(helpers.streaming_bulk(client, actions, raise_on_error=False))
                    if all(ok for ok, _ in done):
                        return
                except (ApiError, TransportError):
                    self.stopping.wait(0.2)


@dataclass
class Hospital:
    """Careful clients of every acknowledged transport, and a log file that grows; ``sent`` counts their batches."""

    folder: Path
    health_port: int
    sources: list[SourceSettings]
    stopping: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    def __post_init__(self) -> None:
        chain = str(self.folder / "tls" / "collector.pem")
        mllp, tcp, tls, http, elastic, _ = (int(source.listen.rpartition(":")[2] or 0) for source in self.sources)
        ask = generation(self.health_port)
        trust = ssl.create_default_context(cafile=chain)
        url = f"http://127.0.0.1:{http}/windows"
        self.senders: dict[str, tuple[Sender, Callable[[int], bytes]]] = {
            "hl7v2": (LibrarySender(mllp, self.stopping), lambda number: HL7 % number),
            "linux": (TcpSender(tcp, self.stopping, ask), lambda number: LOGIN % number),
            "dicom_audit": (TcpSender(tls, self.stopping, ask, tls=trust), lambda number: AUDIT % number),
            "windows": (HttpSender(url, TOKEN, self.stopping), lambda number: LOGON % number),
            "suricata": (BulkSender(f"http://127.0.0.1:{elastic}/eve", self.stopping), lambda number: EVE % number),
            "mysql_audit": (FileSender(self.folder / "audit.log"), lambda number: MYSQL % number),
        }

    @contextmanager
    def sending(self) -> Iterator[list[threading.Thread]]:
        """Send every batch of every source, one thread each."""
        clients = [threading.Thread(target=self._send, args=sender) for sender in self.senders.values()]
        for client in clients:
            client.start()
        try:
            yield clients
        finally:
            self.stopping.set()
            for client in clients:
                client.join()

    def _send(self, sender: Sender, record: Callable[[int], bytes]) -> None:
        for batch in range(BATCHES):
            sender.send([record(batch * IN_BATCH + number) for number in range(IN_BATCH)])
            self.sent += 1


BATCHES, IN_BATCH = 15, 10
TOKEN = "a-token-of-the-test"
AUDIT = (
    b'<85>1 - - - - - - <AuditMessage><EventIdentification EventActionCode="E" EventDateTime="2026-03-01T02:11:09Z" '
    b'EventOutcomeIndicator="0"><EventID csd-code="110100"/></EventIdentification>'
    b'<ActiveParticipant UserID="staff%d"/></AuditMessage>'
)
LOGON = b'{"EventID":4624,"Channel":"Security","EventTime":"2026-03-01T02:11:09Z","RecordNumber":%d}'
EVE = (
    b'{"timestamp":"2026-03-01T02:11:09.000000+0000","flow_id":%d,"event_type":"alert","src_ip":"10.3.1.5","src_port":4022,'
    b'"dest_ip":"10.9.7.7","dest_port":445,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2,"rev":1,'
    b'"signature":"ET SCAN","category":"scan","severity":2}}'
)
MYSQL = b"20260301 02:11:09,his-db-1,his,10.3.1.5,%d,8,CONNECT,his,,0"
LOGIN = b"<86>1 2026-03-01T02:11:09Z his-db-1 sshd %d - - Failed password for root from 10.3.1.5 port 4022 ssh2"


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    chain, key = write_certificate(tmp_path / "tls")
    port = free_block(6)
    listen = [f"127.0.0.1:{port + number}" for number in range(1, 6)]
    sources = [
        SourceSettings(parser="hl7v2", transport="mllp", listen=listen[0]),
        SourceSettings(parser="linux", transport="tcp", listen=listen[1]),
        SourceSettings(parser="dicom_audit", transport="tls", listen=listen[2], certificate=chain, key=key),
        SourceSettings(parser="windows", transport="http", listen=listen[3], path="/windows", token=SecretStr(TOKEN)),
        SourceSettings(parser="suricata", transport="http", listen=listen[4], path="/eve", token=SecretStr(TOKEN)),
        SourceSettings(parser="mysql_audit", transport="file", path=str(tmp_path / "audit.log")),
    ]
    return Hospital(tmp_path, port, sources)


def arrived(hospital: Hospital) -> Counter[str]:
    """Return how many different events of each source are on the bus."""
    records = on_bus(settings_of(hospital.folder), topics.events("renai").name)
    return Counter(source for source, _ in {(record.headers["source"], record.headers["id"]) for record in records})


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the hl7 library, where it can't connect
@pytest.mark.timeout(240)
def test_everything_acknowledged_is_on_the_bus_though_the_collector_is_killed_in_between(hospital: Hospital) -> None:
    dice, total = random.Random(7), BATCHES * len(hospital.sources)
    with hospital.sending():
        for _ in range(3):
            with process(hospital.folder, hospital.health_port, *hospital.sources):
                goal = min(total, hospital.sent + dice.randrange(5, 20))
                wait_until(lambda goal=goal: hospital.sent >= goal, what="some acknowledged")  # type: ignore[misc]
        with process(hospital.folder, hospital.health_port, *hospital.sources) as last:
            wait_until(lambda: hospital.sent == total, timeout_s=60, what="all acknowledged")
            expected = Counter(dict.fromkeys(hospital.senders, BATCHES * IN_BATCH))
            wait_until(lambda: arrived(hospital)["mysql_audit"] == BATCHES * IN_BATCH, what="the file read to its end")
            last.send_signal(signal.SIGTERM)
            assert last.wait(10) == 0
    assert arrived(hospital) == expected
    assert not dead_letters(settings_of(hospital.folder))


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the hl7 library, where it can't connect
@pytest.mark.timeout(240)
def test_a_collector_that_is_told_to_stop_under_load_ends_in_time_and_loses_nothing(hospital: Hospital) -> None:
    total = BATCHES * len(hospital.sources)
    with hospital.sending():
        for goal in (BATCHES + 10, BATCHES + 30):
            with process(hospital.folder, hospital.health_port, *hospital.sources) as child:
                wait_until(generation(hospital.health_port), what="a running collector")
                wait_until(lambda goal=goal: hospital.sent >= goal, what="some acknowledged")  # type: ignore[misc]
                child.send_signal(signal.SIGTERM)
                assert child.wait(10) == 0
        with process(hospital.folder, hospital.health_port, *hospital.sources):
            wait_until(lambda: hospital.sent == total, timeout_s=60, what="all acknowledged")
            expected = Counter(dict.fromkeys(hospital.senders, BATCHES * IN_BATCH))
            wait_until(lambda: arrived(hospital) == expected, what="all on the bus")


@pytest.mark.parametrize("missing", ["tenant", "sources", "parser"])
def test_a_collector_without_tenant_or_known_sources_is_refused(tmp_path: Path, missing: str) -> None:
    sources = {"tenant": [LINUX], "sources": [], "parser": [LINUX.model_copy(update={"parser": "vax"})]}[missing]
    settings = settings_of(tmp_path, *sources)
    if missing == "tenant":
        settings = settings.model_copy(update={"collector": settings.collector.model_copy(update={"tenant": ""})})
    with pytest.raises(SettingsError) as refused:
        run(settings, Runtime("collector"))
    assert refused.value.remedy


def test_two_collectors_do_not_share_a_folder(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, LINUX)
    with own_folder(settings), pytest.raises(SettingsError, match="another collector"):
        run(settings, Runtime("collector"))


@contextmanager
def started(settings: Settings) -> Iterator[Runtime]:
    runtime = Runtime("collector")
    thread = threading.Thread(target=run, args=(settings, runtime))
    thread.start()
    try:
        yield runtime
    finally:
        runtime.stopping.set()
        thread.join(10)
    assert not thread.is_alive()


def test_heartbeats_and_health_tell_what_each_source_counted(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n")
    settings = settings_of(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log)))
    wanted = {"accepted": 2, "forwarded": 1, "filtered": 0, "dead_lettered": 1}

    with started(settings) as runtime:

        def shown() -> dict[str, int]:
            return runtime.health()["parts"].get("spool", {}).get("sources", {}).get("linux", {})  # type: ignore[no-any-return]

        wait_until(lambda: wanted.items() <= shown().items(), what="counted")
        assert runtime.health()["ok"]
    beats = [orjson.loads(record.value or b"") for record in on_bus(settings, topics.heartbeats("renai").name)]
    last = beats[-1]["sources"]["linux"]
    assert {name: last[name] for name in wanted} == wanted
    assert last["last_event"] == "2026-03-01T02:11:01.000Z"
    assert beats[-1]["spool"]["waiting"] == 0


def test_metrics_count_acceptance_at_the_intake_and_the_rest_when_the_bus_has_it(tmp_path: Path) -> None:
    names = ("accepted", "forwarded", "filtered", "dead_lettered")

    def counted() -> list[float]:
        values = [EVENTS.labels("collector", "renai", "linux", name)._value.get() for name in names]
        return [now - before for now, before in zip(values, start, strict=True)]

    start = [0.0] * 4
    start = counted()
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n[\n" + linux(2) + b"\n")
    source = SourceSettings(parser="linux", transport="file", path=str(log))
    with running(tmp_path, source, forward=False) as site:
        wait_until(lambda: counted() == [4, 0, 0, 0], what="all counted at the intake")
        assert site.intake.spool.waiting == 4
        forwarder = Forwarder("renai", site.intake.spool, open_bus(site.settings.bus_url), site.runtime)
        forwarder.start()
        wait_until(lambda: counted() == [4, 2, 1, 1], what="all on the bus")
        forwarder.finish()


def test_while_the_bus_is_absent_records_are_taken_and_health_says_so(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\n")
    (tmp_path / "no-folder").write_bytes(b"")
    settings = settings_of(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log)))
    broken = settings.model_copy(update={"bus": f"sqlite:///{tmp_path / 'no-folder' / 'bus.sqlite'}"})
    with started(broken) as runtime:
        wait_until(lambda: runtime.health()["parts"].get("spool", {}).get("waiting") == 1, what="one waits")
        wait_until(lambda: not runtime.health()["parts"].get("bus", {"ok": True})["ok"], what="bus reported")
    with started(settings) as runtime:
        wait_until(lambda: runtime.health()["parts"].get("spool", {}).get("waiting") == 0, what="forwarded")
    assert len(events(settings)) == 1


def test_a_parser_that_fails_unexpectedly_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = parsers.parser("linux")

    def parse(record: Record, site: Site) -> list[Parsed]:
        if b"strange" in record.data:
            raise KeyError("a mistake of the parser")
        return real.parse(record, site)

    monkeypatch.setattr(parsers, "parser", lambda _: replace(real, parse=parse))
    log = tmp_path / "auth.log"
    log.write_bytes(b"strange\n" + linux(1) + b"\n")
    with running(tmp_path / "data", SourceSettings(parser="linux", transport="file", path=str(log))) as site:
        wait_until(lambda: site.counts("linux") == (2, 1, 0, 1), what="both settled")


def test_dead_letters_are_listed_shown_and_replayed_when_the_parser_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = parsers.parser("linux")
    log = tmp_path / "auth.log"
    log.write_bytes(linux(1) + b"\nnonsense\n")
    with monkeypatch.context() as patch:
        patch.setattr(parsers, "parser", lambda _: replace(real, parse=lambda *_: []))
        with running(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log))) as site:
            wait_until(lambda: site.counts("linux") == (2, 0, 0, 2), what="both refused")
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WARDWATCH_COLLECTOR__TENANT", "renai")
    cli = CliRunner()
    listed = [orjson.loads(line) for line in cli.invoke(deadletter, ["list", "--json"]).stdout.splitlines()]
    assert [letter["source"] for letter in listed] == ["linux", "linux"]
    assert "quarantine:" in cli.invoke(deadletter, ["show", listed[0]["id"]]).stdout
    stopped = cli.invoke(deadletter, ["replay", "--all"])
    assert isinstance(stopped.exception, Unavailable)
    with running(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log))) as again:
        done = cli.invoke(deadletter, ["replay", "--all"])
        assert done.exit_code == 1  # the nonsense is refused again
        assert "read again: forwarded" in done.stdout
        assert "refused again" in done.stdout
        assert cli.invoke(deadletter, ["replay", "no-such-id"]).exit_code == 1
        cli.invoke(deadletter, ["replay", "--all"])
        wait_until(lambda: again.counts("linux") == (6, 2, 0, 4), what="both replays settled")
        assert len({event["event.id"] for event in events(site.settings)}) == 1
        assert len(cli.invoke(deadletter, ["list", "--json"]).stdout.splitlines()) == 2


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["replay"]])
def test_help_of_dead_letters_teaches_by_example(command: list[str]) -> None:
    shown = CliRunner().invoke(deadletter, [*command, "--help"])
    assert "Example" in shown.stdout
    assert "wardwatch deadletter " in shown.stdout


def test_the_quarantine_drops_its_oldest_records_and_counts_them(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.sqlite", limit=1000)
    records = [Record(b"%d" % number * 400) for number in (1, 2, 3)]
    positions = [position_of("linux", record) for record in records]
    quarantine.put("linux", records[:1])
    quarantine.put("linux", records[1:])
    assert quarantine.dropped == 1
    assert quarantine.get(positions[2]).record.data == b"3" * 400
    with pytest.raises(NotFound):
        quarantine.get(positions[0])
    quarantine.close()


def test_two_sources_of_one_parser_are_counted_apart_by_their_names_and_are_one_source_for_rules(
    tmp_path: Path,
) -> None:
    sources = [LINUX.model_copy(update={"name": name}) for name in ("dmz", "icu")]
    with running(tmp_path, *sources) as site:
        for number, records in enumerate(([linux(1)], [linux(2), b"\x00not linux"])):
            with socket.create_connection(("127.0.0.1", site.port(number))) as out:
                out.sendall(b"\n".join(records) + b"\n")
        wait_until(lambda: site.counts("dmz")[0] + site.counts("icu")[0] == 3 and site.settled(), what="three records")
        assert (site.counts("dmz"), site.counts("icu")) == ((1, 1, 0, 0), (2, 1, 0, 1))
        assert {record.headers["source"] for record in on_bus(site.settings, topics.events("renai").name)} == {"linux"}
        assert [letter["source"] for letter in dead_letters(site.settings)] == ["linux"]
        assert {"dmz", "icu"} == set(site.intake.last)
