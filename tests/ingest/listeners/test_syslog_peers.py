"""Real rsyslog and syslog-ng send to a collector: what they are given to send is what arrives, byte by byte."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from ingest.listeners import tcp
from tests.ingest.listeners.pki import Pki
from tests.ingest.running import Running, dead_letters, generation, on_bus, process, running, settings_of
from wardwatch import topics
from wardwatch.settings import Settings, SourceSettings
from wardwatch.testing.ports import free_block, wait_until
from wardwatch.testing.syslog_peers import SyslogPeer, rsyslog, syslog_ng

BODIES = [
    *(b"m%04d Failed password for root from 10.3.1.5 port %d ssh2" % (number, number) for number in range(20)),
    "m0020 患者张三 登录失败".encode("gbk"),
    "m0021 患者张三 登录失败".encode(),
    b"m0022 " + b"x" * 50_000,
]
LONG = b"m0023 " + b"y" * 500_000


DISK = (
    'queue.type="LinkedList" queue.filename="out" queue.highwatermark="20" queue.lowwatermark="10" '
    'queue.dequeuebatchsize="16" queue.saveOnShutdown="on" queue.timeoutEnqueue="300000"'
)
"""A queue that goes to disk early; its second worker has a connection of its own.

By itself rsyslog discards what finds no place in its queue for 2 s, as on a machine whose disk is busy.
"""


def from_rsyslog(folder: Path, port: int, pki: Pki, how: str, queue: str = "") -> SyslogPeer:
    """Forward lines of ``in.log``: as RFC 3164 over UDP and in lines, as RFC 5424 where octets are counted."""
    protocol, *more = how.split()
    form = "%TIMESTAMP% %HOSTNAME% %syslogtag% %msg%"
    if "counted" in more:
        form = "1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% %APP-NAME% 931 - - %msg%"
    options = [f'protocol="{"udp" if protocol == "udp" else "tcp"}"']
    options += ['tcp_framing="octet-counted"'] if "counted" in more else []
    if protocol == "tls":
        options += ['streamDriver="gtls"', 'streamDriverMode="1"', 'streamDriverAuthMode="x509/certvalid"']
    files = [f'defaultNetstreamDriverCAFile="{pki.ca}"']
    if "mutual" in more:
        files += [f'defaultNetstreamDriver{kind}File="{pki.folder}/client.{end}"' for kind, end in CLIENT]
    config = f"""
global({" ".join(files)})
module(load="imfile")
input(type="imfile" file="{folder}/in.log" tag="sshd[931]:" facility="authpriv" severity="info")
template(name="form" type="string" string="<%PRI%>{form}")
action(type="omfwd" target="127.0.0.1" port="{port}" template="form" {" ".join(options)}
       action.resumeInterval="1" action.resumeRetryCount="-1" {queue})
"""
    return rsyslog(folder, config)


SEND_BUFFER_BYTES = 4 * 2**20  # most that Linux gives a socket (tcp_wmem)
CLIENT = (("Cert", "pem"), ("Key", "key"))


def from_syslog_ng(folder: Path, port: int, pki: Pki, how: str) -> SyslogPeer:
    protocol, *more = how.split()
    driver = "syslog" if "counted" in more else "network"
    tls = f'peer-verify(required-trusted) ca-file("{pki.ca}")'
    if "mutual" in more:
        tls += f' cert-file("{pki.folder}/client.pem") key-file("{pki.folder}/client.key")'
    config = f"""
source lines {{ file("{folder}/in.log" follow-freq(0.1) flags(no-parse) program-override("sshd")); }};
destination collector {{
  {driver}("127.0.0.1" port({port}) transport("{protocol}") {f"tls({tls})" if protocol == "tls" else ""}); }};
log {{ source(lines); destination(collector); }};
"""
    return syslog_ng(folder, config)


def held(site: Running) -> list[bytes]:
    """Return the raw bytes of the records that the parser refused."""
    return [site.intake.quarantine.get(letter["position"]).record.data for letter in dead_letters(site.settings)]


HOW = ["udp", "tcp", "tcp counted", "tls counted", "tls counted mutual"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("sender", [from_rsyslog, from_syslog_ng])
def test_what_a_syslog_daemon_is_given_is_what_arrives(
    tmp_path: Path, sender: Callable[[Path, int, Pki, str], SyslogPeer], how: str
) -> None:
    pki = Pki(tmp_path / "pki")
    bodies = [*BODIES, *([] if how == "udp" else [LONG])]
    protocol = how.split(maxsplit=1)[0]
    settings = pki.source(mutual="mutual" in how) if protocol == "tls" else {}
    source = SourceSettings.model_validate(
        {"parser": "hl7v2", "transport": protocol, "listen": "127.0.0.1:0", **settings}
    )
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "in.log").write_bytes(b"".join(body + b"\n" for body in bodies))
    with running(tmp_path / "data", source) as site, sender(tmp_path / "peer", site.port(), pki, how) as peer:
        try:
            wait_until(lambda: site.counts("hl7v2")[3] == len(bodies), what="all dead-lettered, since none is HL7")
        except TimeoutError:
            pytest.fail(f"{site.counts('hl7v2')}: {peer.console()[-2000:]}")
        arrived = held(site)
    assert all(record.startswith(b"<86>") or record.startswith(b"<13>") for record in arrived)
    assert sorted(record[record.index(b"m00") :].rstrip(b"\n") for record in arrived) == sorted(bodies)


def login(number: int) -> bytes:
    return b"Failed password for root from 10.3.1.5 port %d ssh2\n" % (1024 + number)


@dataclass
class Log:
    """A log file that grows."""

    path: Path
    written: int = 0

    def write(self, count: int) -> int:
        """Append so many logins, which all differ; return how many there are."""
        with self.path.open("ab") as file:
            file.writelines(login(number) for number in range(self.written, self.written + count))
        self.written += count
        return self.written


def on_the_bus(settings: Settings) -> set[int]:
    """Return the numbers of the logins that are on the bus."""
    records = on_bus(settings, topics.events("renai").name)
    return {orjson.loads(record.value or b"")["source.port"] - 1024 for record in records}


@pytest.mark.parametrize("how", ["tcp", "tls counted"])
def test_a_collector_that_is_restarted_while_rsyslog_queues_on_its_disk_loses_nothing(tmp_path: Path, how: str) -> None:
    pki, port = Pki(tmp_path / "pki"), free_block(2)
    protocol = how.split(maxsplit=1)[0]
    source = SourceSettings.model_validate(
        {"parser": "linux", "transport": protocol, "listen": f"127.0.0.1:{port + 1}"}
        | (pki.source(mutual=False) if protocol == "tls" else {})
    )
    settings, folder = settings_of(tmp_path), tmp_path / "peer"
    folder.mkdir()
    log = Log(folder / "in.log")
    with from_rsyslog(folder, port + 1, pki, how, DISK):
        for goal in (1000, 2000):
            with process(tmp_path, port, source) as child:
                wait_until(generation(port), what="a running collector")
                wait_until(lambda goal=goal: log.write(100) >= goal, what="much is written")  # type: ignore[misc]
                child.send_signal(signal.SIGTERM)
                assert child.wait(10) == 0
            log.write(200)
            wait_until(lambda: list(folder.glob("out.0*")), what="a queue on disk")
        with process(tmp_path, port, source):
            total = set(range(log.written))
            wait_until(lambda: on_the_bus(settings) == total, what="every line on the bus", timeout_s=60)


def test_of_what_rsyslog_sends_over_tcp_a_kill_costs_only_what_was_under_way(tmp_path: Path) -> None:
    port, folder = free_block(2), tmp_path / "peer"
    source = SourceSettings(parser="linux", transport="tcp", listen=f"127.0.0.1:{port + 1}")
    settings = settings_of(tmp_path)
    folder.mkdir()
    log = Log(folder / "in.log")
    with from_rsyslog(folder, port + 1, Pki(tmp_path / "pki"), "tcp", DISK):
        for goal in (3000, 6000):
            with process(tmp_path, port, source) as child:
                wait_until(generation(port), what="a running collector")
                wait_until(lambda goal=goal: log.write(300) >= goal, what="much is written")  # type: ignore[misc]
                child.kill()
                child.wait()
        with process(tmp_path, port, source):
            last = log.write(300) - 1
            wait_until(lambda: last in on_the_bus(settings), what="the last line on the bus")
            lost = set(range(log.written)) - on_the_bus(settings)
    assert len(lost) * len(login(0)) < 2 * (2 * tcp.RECEIVE_BYTES + SEND_BUFFER_BYTES)


def test_a_full_spool_holds_rsyslog_back_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    source = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")
    (tmp_path / "peer").mkdir()
    log = Log(tmp_path / "peer" / "in.log")
    log.write(3000)
    with (
        running(tmp_path / "data", source, forward=False, spool_bytes=2**20) as site,
        from_rsyslog(tmp_path / "peer", site.port(), Pki(tmp_path / "pki"), "tcp", DISK) as peer,
    ):
        spool = site.intake.spool
        found: set[str] = set()
        wait_until(lambda: spool.size_bytes > 2**20 - 2**13, what="a spool that is nearly full")
        assert 0 < site.counts("linux")[0] < log.written

        def room() -> bool:
            entries = spool.read()
            found.update(entry.key for entry in entries)
            spool.ack(entries)
            return len(found) == log.written

        try:
            wait_until(room, what="all lines", timeout_s=90)
        except TimeoutError:
            pytest.fail(f"{len(found)} lines, {site.counts('linux')}: {peer.console()[-2000:]}")
        assert site.counts("linux") == (3000, 3000, 0, 0)
