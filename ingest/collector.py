"""The collector of one site: listeners → parser → scrub → spool → bus."""

from __future__ import annotations

import fcntl
import os
import pwd
import resource
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import wardwatch
from ingest import parsers
from ingest.forwarder import Forwarder
from ingest.heartbeat import Heartbeat
from ingest.identity import Renewal, own_identity
from ingest.intake import Intake, LastSeen, Source, source_of
from ingest.listeners import Listener
from ingest.listeners.file import FileListener
from ingest.listeners.flow import FlowListener
from ingest.listeners.http import HttpListener
from ingest.listeners.mllp import mllp_listener
from ingest.listeners.snmp import SnmpListener
from ingest.listeners.tcp import TcpListener
from ingest.listeners.udp import UdpListener
from ingest.local import LocalSocket, Tap
from ingest.parsers import Parser
from ingest.pollers import Feed, Poller
from ingest.pollers.extras import extra_feed
from ingest.pollers.kafka import KafkaFeed
from ingest.pollers.sql import SqlFeed
from ingest.quarantine import Quarantine
from ingest.remote.follow import following
from ingest.remote.rollout import Rollout
from ingest.revealing import append, tap_event
from ingest.spool import KINDS, Spool
from ingest.upgrades import claim
from ingest.vault import open_tokens
from wardwatch.bus import Outlet, open_outlet
from wardwatch.errors import SettingsError
from wardwatch.event import rfc3339
from wardwatch.settings import CollectorSettings, Settings, SourceSettings
from wardwatch.stage import Runtime

REPORT_S = 0.2
_NO_LOGIN = 2**32 - 1


@dataclass
class Collector:
    """One running collector and what it shows of itself."""

    tenant: str
    intake: Intake
    sources: Sequence[Source]
    listeners: Sequence[Listener]
    runtime: Runtime
    listening: list[Listener] = field(default_factory=list)
    configuration: Callable[[], dict[str, Any]] | None = None

    def start(self) -> None:
        """Open every listener; raises SettingsError, and then none stays open."""
        try:
            for listener in self.listeners:
                listener.start()
                self.listening.append(listener)
        except SettingsError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the listeners; what they had taken is in the spool."""
        for listener in self.listening:
            listener.stop()
        self.listening.clear()

    def reopen(self, sources: Sequence[Source], listeners: Callable[[], Sequence[Listener]]) -> None:
        """Close the listeners, then make and open others; raises SettingsError, and then none is open."""
        before = [listener.name for listener in self.listening]
        self.stop()
        for name in before:
            self.runtime.forget(name)
        self.sources = sources
        self.listeners = listeners()  # they go on where the others have stopped
        self.start()
        self.report()

    def report(self) -> None:
        """Show listeners and spool in /health."""
        for listener in self.listening:
            message = listener.problem or listener.address
            self.runtime.report(listener.name, ok=not listener.problem, message=message, **listener.state())
        spool = self.intake.spool
        damage = f"{spool.lost} entries were lost to corruption" if spool.lost else ""
        details = {"waiting": spool.waiting, "bytes": spool.size_bytes, "sources": self.states()}
        quarantine = {"quarantine_dropped": self.intake.quarantine.dropped, "torn_bytes": spool.torn_bytes}
        self.runtime.report("spool", ok=not spool.lost, message=damage, **details, **quarantine)

    def counters(self) -> dict[str, dict[str, int]]:
        """Return the counters of every configured source."""
        nothing: dict[str, int] = dict.fromkeys(("accepted", *KINDS), 0)
        return {source.label: dict(nothing) for source in self.sources} | self.intake.spool.counters()

    def states(self) -> dict[str, dict[str, Any]]:
        """Return counters and last times of every source, of the configured ones also how they arrive."""
        counters = self.counters()
        return counters | {source.label: {**counters[source.label], **self._seen(source)} for source in self.sources}

    def heartbeat(self) -> dict[str, Any]:
        """Return the state that is sent on the heartbeats topic."""
        states = self.states()
        return {
            "tenant": self.tenant,
            "instance": self.runtime.instance,
            "at": rfc3339(datetime.now(UTC)),
            "started": rfc3339(self.runtime.started),
            "version": wardwatch.__version__,
            "spool": {"waiting": self.intake.spool.waiting, "bytes": self.intake.spool.size_bytes},
            "sources": {source.label: states[source.label] for source in self.sources},
        } | ({"configuration": self.configuration()} if self.configuration else {})

    def _seen(self, source: Source) -> dict[str, str | None]:
        last = asdict(self.intake.last.get(source.label, LastSeen()))
        return {f"last_{name}": at for name, at in last.items()} | {
            "transport": source.settings.transport,
            "listen": source.settings.place,
        }


def run(settings: Settings, runtime: Runtime, parser: Callable[[str], Parser] = parsers.parser) -> None:
    """Collect until ``runtime.stopping``, then drain; raises SettingsError."""
    local = settings.collector
    if not local.tenant or not (local.sources or local.configured_by):
        remedy = "set collector.tenant and at least one [[collector.sources]]; see docs/operator/settings.md"
        raise SettingsError("a collector needs a tenant and sources", step="collector", remedy=remedy)
    for source in local.sources:
        source_of(source, local, parser)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold raw records
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder(settings))
        intake = stack.enter_context(open_intake(settings, folder))
        bus = open_outlet(settings.bus_url, settings.bus_access)
        stack.callback(bus.close)
        collector = Collector(local.tenant, intake, [], [], runtime)
        reopen = partial(open_sources, collector, settings, folder, parser)
        if local.configured_by is None:
            reopen(local)
            collect(collector, bus, settings)
            return
        rollout = Rollout(local, local.configured_by, folder, intake, runtime, reopen)
        collector.configuration = rollout.told
        rollout.start()
        follower = stack.enter_context(following(settings))
        collect(collector, bus, settings, partial(rollout.turn, follower))


def open_sources(
    collector: Collector, settings: Settings, folder: Path, parser: Callable[[str], Parser], own: CollectorSettings
) -> None:
    """Have the sources of these settings open in place of those before; raises SettingsError."""
    sources = [source_of(source, own, parser) for source in own.sources]

    def listeners() -> list[Listener]:
        site = settings.model_copy(update={"collector": own})
        opened = open_listeners([*sources, reveals(site, folder)], collector.intake, folder)
        return [*opened, local_socket(site, folder, collector.intake, sources)]

    collector.reopen(sources, listeners)


def collect(collector: Collector, bus: Outlet, settings: Settings, turn: Callable[[], None] = lambda: None) -> None:
    """Run forwarder and heartbeat beside the open listeners, and ``turn`` again and again.

    On stop close them in the order of the events' way.
    """
    runtime = collector.runtime
    forwarder = Forwarder(collector.tenant, collector.intake.spool, bus, runtime)
    forwarder.start()
    heartbeat = Heartbeat(collector.tenant, bus, settings.collector.heartbeat_s, collector.heartbeat)
    heartbeat.start()
    identity = own_identity(settings.bus_url, settings.bus_access)
    if identity:
        Renewal(settings.bus_url, settings.bus_access, identity, runtime).start()
    while not runtime.stopping.wait(REPORT_S):
        collector.report()
        turn()
    collector.stop()
    forwarder.finish()
    heartbeat.finish()


def open_listeners(sources: Sequence[Source], intake: Intake, folder: Path) -> list[Listener]:
    """Return a listener for each source, one for all HTTP sources of an address; raises SettingsError."""
    listeners: list[Listener] = []
    _check_apart(sources)
    http: dict[str, list[Source]] = {}
    for source in sources:
        match source.settings.transport:
            case "udp":
                listeners.append(UdpListener(source, intake))
            case "tcp" | "tls":
                listeners.append(TcpListener(source, intake))
            case "mllp":
                listeners.append(mllp_listener(source, intake))
            case "file":
                listeners.append(FileListener(source, intake, folder))
            case "sftp" | "s3" | "mqtt":
                feed = extra_feed(source, partial(intake.refuse, source), intake.tenant)
                listeners.append(_poller(source, intake, folder, feed))
            case "sql":
                listeners.append(_poller(source, intake, folder, SqlFeed(source)))
            case "kafka":
                listeners.append(_poller(source, intake, folder, KafkaFeed(source)))
            case "snmp":
                listeners.append(SnmpListener(source, intake, folder))
            case "flow":
                listeners.append(FlowListener(source, intake))
            case "http":
                http.setdefault(source.settings.listen, []).append(source)
    return [*listeners, *(HttpListener(group, intake) for group in http.values())]


def local_socket(settings: Settings, folder: Path, intake: Intake, sources: Sequence[Source]) -> LocalSocket:
    """Return the way in for commands of this machine: of sources of one label, the first counts.

    Each use of tap is an audit event beside the reveals: somebody sees who the records are about.
    """
    own = reveals(settings, folder)
    known = {source.label: source for source in (own, *reversed(sources))}

    def other(name: str) -> Source:
        configured = next((source for source in sources if source.name == name), None)
        return configured or source_of(SourceSettings(parser=name, transport="file"), settings.collector)

    def audit(pid: int, uid: int, tap: Tap) -> None:
        append(reveals_path(folder), tap_event(account_of(pid, uid), tap.source, raw=tap.raw))

    return LocalSocket(folder, intake, known, other, audit)


def account_of(pid: int, uid: int) -> str:
    """Return the account of a process: the one that signed in (proc(5), loginuid), where the kernel knows it."""
    try:
        signed_in = int(Path(f"/proc/{pid}/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        signed_in = _NO_LOGIN
    number = uid if signed_in == _NO_LOGIN else signed_in
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _check_apart(sources: Sequence[Source]) -> None:
    """Refuse two sources that would go on from one cursor."""
    places = Counter((source.name, source.settings.url) for source in sources if source.settings.url)
    for (name, url), count in places.items():
        if count > 1:
            remedy = "end each url with a name of its own: #drugs"
            raise SettingsError(f"{count} sources ask {url}", step="collector", record=name, remedy=remedy)


def _poller(source: Source, intake: Intake, folder: Path, feed: Feed) -> Poller:
    return Poller(source, intake, folder, feed, source.settings.url, source.settings.every_s)


def reveals(settings: Settings, folder: Path) -> Source:
    """Return the source that every site has: the record of reveals. Its silence is nothing to report."""
    own = SourceSettings(parser="reveal", transport="file", path=str(reveals_path(folder).absolute()))
    return source_of(own, settings.collector)


def reveals_path(folder: Path) -> Path:
    """Return the file of the records of reveals in a site's folder."""
    return folder / "reveals.ndjson"


def site_folder(settings: Settings) -> Path:
    """Return the folder of the collector's own state."""
    return settings.data_dir / "collector" / settings.collector.tenant


@contextmanager
def own_folder(settings: Settings) -> Iterator[Path]:
    """Hold the folder for this process alone.

    Raises SettingsError when another collector has it, or when a newer version wrote it.
    """
    folder = site_folder(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        remedy = "set data_dir to a folder that the collector may write"
        raise SettingsError(f"{folder}: {error.strerror}", step="collector", remedy=remedy) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        claim(folder)
        yield folder
    except BlockingIOError:
        remedy = "stop the other one, or give this one its own data_dir"
        raise SettingsError(f"another collector works in {folder}", step="collector", remedy=remedy) from None
    finally:
        os.close(lock)


@contextmanager
def open_intake(settings: Settings, folder: Path) -> Iterator[Intake]:
    """Open spool, quarantine and tokens in the folder; raises SettingsError."""
    tokens = open_tokens(settings.collector, folder)
    quarantine = Quarantine(folder / "quarantine.sqlite")
    spool = Spool(folder / "spool", settings.collector.spool_bytes)
    try:
        yield Intake(settings.collector.tenant, spool, quarantine, tokens)
    finally:
        spool.close()
        quarantine.close()
