"""What is checked of a collector, each a finding with a remedy: bus, folder, clock, ports, certificates, sources."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from ingest import local
from ingest.collector import site_folder
from ingest.health_page import Health, SourceState, address, read_health
from ingest.intake import Source, source_of
from ingest.listeners import bind
from ingest.pollers.extras import extra_feed
from ingest.pollers.kafka import KafkaFeed
from ingest.pollers.sql import SqlFeed
from ingest.remote.rollout import in_force
from ingest.remote.signed import public_key
from ingest.tap import TOKEN
from ingest.upgrades import readable_state
from ingest.vault import key_path, load_key
from wardwatch import topics
from wardwatch.bus import open_outlet
from wardwatch.errors import RecordError, SettingsError, Unavailable, WardwatchError
from wardwatch.event import Document
from wardwatch.settings import CollectorSettings, Settings, SourceSettings

State = Literal["ok", "warning", "FAILS"]

EXPIRES_SOON = timedelta(days=30)
LEAST_FREE_BYTES = 2**30
PARSED_WELL, PARSED_BADLY = 0.99, 0.5
AHEAD = timedelta(minutes=5)
LIVE = timedelta(minutes=2)
HALF_HOUR = timedelta(minutes=30)
FARTHEST_ZONES = 28  # half hours
_DATAGRAMS = ("udp", "snmp", "flow")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at (``part``), how it is, and what to do about it ("" where nothing).

    ``sample`` is a scrubbed event, where one was looked at.
    """

    part: str
    state: State
    message: str
    remedy: str = ""
    sample: Document | None = None


def check(settings: Settings, instance: int = 0) -> Iterator[Finding]:
    """Yield the findings of a site's settings, of this machine, and of the collector that runs on it."""
    collector = in_force(settings.collector, site_folder(settings))
    health = read_health(settings, instance)
    yield _running(settings, health, instance)
    if collector.configured_by:
        yield _configured_by(collector.configured_by)
    if not collector.tenant or not (collector.sources or collector.configured_by):
        yield Finding("settings", "FAILS", "no tenant or no source", "wardwatch collector init writes a settings file")
        return
    yield from _bus(settings)
    yield from _bus_certificate(settings)
    yield from _folder(settings, health)
    yield clock()
    yield from _shared(collector.sources)
    for source in collector.sources:
        yield from _source(source, collector, health)
    if health is not None:
        yield from _samples(settings)


def _running(settings: Settings, health: Health | None, instance: int) -> Finding:
    if health is None:
        message = f"no collector answers at {address(settings, instance)}: what its sources sent can't be seen"
        return Finding("collector", "warning", message, "wardwatch run collector")
    failing = [f"{name}: {part['message']}" for name, part in health.parts.items() if not part["ok"]]
    if failing:
        return Finding("collector", "FAILS", "; ".join(failing), "see the parts below and the collector's log")
    return Finding("collector", "ok", f"up since {health.started}")


def _configured_by(key: Path) -> Finding:
    try:
        public_key(key)
    except SettingsError as error:
        return Finding("configured by", "FAILS", error.reason, "ask the provider for its public key")
    return Finding("configured by", "ok", f"who signs by {key}")


def _bus(settings: Settings) -> Iterator[Finding]:
    """Check that the bus answers, and that the collector may write its own topics."""
    try:
        bus = open_outlet(settings.bus_url, settings.bus_access)
        try:
            bus.ping()
            may = {topic.name: bus.may_write(topic.name) for topic in topics.of_tenant(settings.collector.tenant)}
        finally:
            bus.close()
    except (SettingsError, Unavailable) as error:
        yield Finding("bus", "FAILS", error.reason, "set bus to the provider's servers; does a firewall let it out?")
        return
    yield Finding("bus", "ok", f"{settings.bus_url} answers")
    yield rights(may)


def rights(may: Mapping[str, bool | None]) -> Finding:
    """Judge whether topics may be written: a missing one (None) is made by the collector, if it may."""
    refused = [name for name, right in may.items() if right is False]
    if refused:
        message = f"{', '.join(refused)} may not be written"
        return Finding("topics", "FAILS", message, "the provider grants WRITE and DESCRIBE to this collector's account")
    if missing := [name for name, right in may.items() if right is None]:
        message = f"{', '.join(missing)}: not there, or not to be seen by this account"
        return Finding("topics", "warning", message, "the provider runs wardwatch init with this tenant")
    return Finding("topics", "ok", f"{', '.join(may)} may be written")


def _bus_certificate(settings: Settings) -> Iterator[Finding]:
    """Check the certificate by which the provider knows this site, and that it is this site's."""
    part, access = "bus certificate", settings.bus_access
    if not access.certificate:
        return
    found = certificate(part, access.certificate, access.key)
    name = common_name(access.certificate) if found.state != "FAILS" else ""
    if name and name != settings.collector.tenant:
        message = f"it is {name}'s, the settings say {settings.collector.tenant}"
        found = Finding(part, "FAILS", message, "set collector.tenant, or ask the provider for the right certificate")
    yield found


def common_name(chain: Path) -> str:
    """Return whom the first certificate of a PEM file names."""
    names = x509.load_pem_x509_certificates(chain.read_bytes())[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _folder(settings: Settings, health: Health | None) -> Iterator[Finding]:
    """Check that the running collector works here, rights, space for the spool, and the key of the tokens."""
    folder = site_folder(settings)
    used = health and health.parts.get(local.NAME, {}).get("message")
    if used and used != str(local.path_of(folder)):
        message = f"the running collector works in {Path(used).parent}, these settings name {folder.absolute()}"
        yield Finding("folder", "FAILS", message, "set data_dir in the settings file, not by WARDWATCH_DATA_DIR")
        return
    if not settings.data_dir.is_absolute():
        message = f"data_dir {str(settings.data_dir)!r} is another folder for who starts elsewhere"
        yield Finding("folder", "warning", message, "write it from the root, such as /var/lib/wardwatch")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("folder", "FAILS", f"{existing} can't be written", "run this and the collector as its owner")
        return
    try:
        readable_state(folder)
    except SettingsError as error:
        yield Finding("state", "FAILS", error.reason, error.remedy)
        return
    yield _space(folder, existing, settings.collector.spool_bytes)
    key = key_path(settings.collector, folder)
    if key.exists():
        try:
            load_key(key)
        except SettingsError as error:
            yield Finding("token key", "FAILS", error.reason, error.remedy)
        else:
            yield Finding("token key", "ok", f"{key} is readable for its owner only")


def _space(folder: Path, existing: Path, limit: int) -> Finding:
    free = shutil.disk_usage(existing).free
    spooled = sum(path.stat().st_size for path in (folder / "spool").glob("*.segment"))
    needed = max(0, limit - spooled) + LEAST_FREE_BYTES
    message = f"{existing}: {free / 2**30:.1f} GiB free, spool and vault may need {needed / 2**30:.1f} GiB more"
    if free < needed:
        state: State = "FAILS" if free < LEAST_FREE_BYTES else "warning"
        return Finding("disk", state, message, "make room, or lower collector.spool_bytes")
    return Finding("disk", "ok", message)


def clock() -> Finding:
    """Ask the kernel whether something such as chrony keeps the clock right (adjtimex(2))."""
    status = ctypes.create_string_buffer(512)  # struct timex, zeroed: only read
    if ctypes.CDLL(None).ntp_adjtime(status) in (-1, _TIME_ERROR):
        return Finding("clock", "warning", "the kernel says that nothing synchronises it", "install chrony")
    return Finding("clock", "ok", "synchronised, says the kernel")


def _source(source: SourceSettings, collector: CollectorSettings, health: Health | None) -> Iterator[Finding]:
    part = f"{source.parser} {source.transport} {source.place}"
    try:
        known = source_of(source, collector)
    except SettingsError as error:
        yield Finding(part, "FAILS", error.reason, error.remedy)
        return
    yield _way(part, known, health)
    if source.listen and (source.transport == "tls" or source.certificate or source.key or source.authorities):
        yield certificate(part, source.certificate, source.key)
    if source.authorities:
        yield authorities(part, source.authorities)
    if source.transport == "http" and not (source.path.startswith("/") and source.token.get_secret_value()):
        yield Finding(part, "FAILS", "an HTTP source needs path and token", 'set path = "/windows" and a token')
    if source.transport == "snmp":
        yield from _snmp(part, source)
    if health is not None:
        yield arrived(part, health.sources().get(known.label))


def _way(part: str, source: Source, health: Health | None) -> Finding:
    """Look at how a source's records come."""
    if source.settings.transport == "file":
        return _file(part, source.settings)
    look = _ASKED.get(source.settings.transport)
    if look is None:
        return _port(part, source.settings, health)
    try:
        return look(part, source)
    except (SettingsError, Unavailable) as error:
        return Finding(part, "FAILS", error.reason, error.remedy or _UNREACHED)


def _samples(settings: Settings) -> Iterator[Finding]:
    """Show the last scrubbed event of each source of the running collector, and what was replaced in it."""
    try:
        with local.connect(site_folder(settings)) as running:
            samples = running.samples()
    except (OSError, WardwatchError) as error:
        yield Finding("samples", "warning", str(error), "run this as the collector's user")
        return
    for source, event in sorted(samples.items()):
        yield sample(source, event)


def sample(source: str, event: Document) -> Finding:
    """Return one scrubbed event as a finding: when, what, and the fields in which tokens stand."""
    tokens = [name for name, value in sorted(event.items()) if TOKEN.search(str(value))]
    what = event.get("event.action") or event.get("event.dataset")
    replaced = f"tokens in {', '.join(tokens)}" if tokens else "nobody is named in it"
    return Finding(f"{source} event", "ok", f"{event['@timestamp']} {what}: {replaced}", sample=event)


def _snmp(part: str, source: SourceSettings) -> Iterator[Finding]:
    """Check that somebody may send, and that nobody may by a community that everybody knows or by weak protocols."""
    community = source.community.get_secret_value()
    if not community and not source.users:
        yield Finding(part, "FAILS", "nobody may send here", "set community for v1 and v2c, or users for v3")
    if community in ("public", "private"):
        yield Finding(part, "warning", f"everybody knows the community {community}", "choose another, or users of v3")
    weak = [user.name for user in source.users if user.auth == "md5" or user.privacy == "des"]
    if weak:
        yield Finding(part, "warning", f"MD5 or DES protect {', '.join(weak)}", "sha256 and aes where devices can")


def _shared(sources: Sequence[SourceSettings]) -> Iterator[Finding]:
    """Find what only the whole list shows: two listeners of one port, HTTP sources of one path or of unlike TLS."""
    places = Counter(_place(source) for source in sources if source.listen)
    for (_, listen, path), count in places.items():
        if count > 1 and not listen.endswith(":0"):
            yield Finding("settings", "FAILS", f"{count} sources listen on {listen}{path}", "give each its own")
    for (_, url), count in Counter((source.parser, source.url) for source in sources if source.url).items():
        if count > 1:
            yield Finding("settings", "FAILS", f"{count} sources ask {url}", "end each url with a name: #drugs")
    secured = {(one.listen, one.certificate, one.key, one.authorities) for one in sources if one.transport == "http"}
    for listen, count in Counter(listen for listen, *_ in secured).items():
        if count > 1 and not listen.endswith(":0"):
            remedy = "give all the same certificate, key and authorities, or none"
            yield Finding("settings", "FAILS", f"HTTP sources of {listen} differ in TLS", remedy)


def _place(source: SourceSettings) -> tuple[str, str, str]:
    """Return what a network source has for itself: UDP and TCP ports are apart, HTTP sources share by path."""
    protocol = "udp" if source.transport in _DATAGRAMS else "tcp"
    return protocol, source.listen, source.path if source.transport == "http" else ""


def _file(part: str, source: SourceSettings) -> Finding:
    if not source.path:
        return Finding(part, "FAILS", "a file source has no path", "set path, a glob such as /var/log/mysql/*.log")
    found = glob.glob(source.path, recursive=True)  # noqa: PTH207 absolute globs
    locked = [name for name in found if not os.access(name, os.R_OK)]
    if locked:
        return Finding(part, "FAILS", f"{locked[0]} can't be read", "add the collector's user to the file's group")
    if not found:
        return Finding(part, "warning", "no such file", "set path to the log, a glob such as /var/log/mysql/*.log")
    return Finding(part, "ok", f"{len(found)} file{'s' if len(found) > 1 else ''} readable")


def _rows(part: str, source: Source) -> Finding:
    """Ask for one row, and let the parser read it; raises SettingsError and Unavailable."""
    feed = SqlFeed(source)
    try:
        records = feed.sample()
    finally:
        feed.close()
    if not records:
        return Finding(part, "warning", "the database answers and has no row yet")
    try:
        (parsed, *_) = source.parser.parse(records[0], source.site)
    except RecordError as error:
        remedy = f"let the query name its columns as docs/reference/sources/{source.name}.md shows: SELECT … AS …"
        return Finding(part, "FAILS", f"a row comes and can't be read: {error.reason}", remedy)
    return Finding(part, "ok", f"a row of {parsed.doc['@timestamp']} can be read")


def _topics(part: str, source: Source) -> Finding:
    """Ask for the topics; raises SettingsError and Unavailable."""
    missing = KafkaFeed(source).missing()
    if missing:
        return Finding(part, "FAILS", f"no topic {', '.join(missing)}", "correct url; may the account see the topic?")
    return Finding(part, "ok", "all topics are there")


def _probed(part: str, source: Source) -> Finding:
    """Connect and look; raises SettingsError and Unavailable."""
    feed = extra_feed(source, lambda *_: None, "check")
    try:
        return Finding(part, "ok", feed.probe())
    finally:
        feed.close()


_ASKED = {"sql": _rows, "kafka": _topics, "sftp": _probed, "s3": _probed, "mqtt": _probed}
_UNREACHED = "are url, user and password right, and does a firewall let the collector through?"


def _port(part: str, source: SourceSettings, health: Health | None) -> Finding:
    if health and f"listener {source.transport} {source.listen}" in health.parts:
        return Finding(part, "ok", f"{source.listen} is held by the running collector")
    kind = socket.SOCK_DGRAM if source.transport in _DATAGRAMS else socket.SOCK_STREAM
    try:
        with bind(source.listen, source.parser, kind) as opened:
            if kind is socket.SOCK_STREAM:
                opened.listen()
    except SettingsError as error:
        return Finding(part, "FAILS", error.reason, error.remedy)
    except OSError as error:
        return Finding(part, "FAILS", f"{source.listen} can't be opened: {error.strerror}", "choose a free port")
    if health:
        remedy = "start the collector again with these settings"
        return Finding(part, "FAILS", f"the running collector does not listen on {source.listen}", remedy)
    return Finding(part, "ok", f"{source.listen} is free")


def certificate(part: str, chain: Path | None, key: Path | None, now: datetime | None = None) -> Finding:
    """Check that a listener's certificate and key can be read, belong together, and are valid at a moment."""
    if not chain or not key:
        return Finding(part, "FAILS", "TLS needs certificate and key", "set certificate and key of the source")
    try:
        leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        secret = load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        return Finding(part, "FAILS", f"{error.filename}: {error.strerror}", "the collector's user must read it")
    except (ValueError, TypeError):
        return Finding(part, "FAILS", f"{chain} or {key} is no PEM, or the key has a password", "write both as PEM")
    if leaf.public_key() != secret.public_key():
        return Finding(part, "FAILS", f"{key} is not the key of {chain}", "the first certificate is the listener's own")
    return _validity(part, leaf, now or datetime.now(UTC))


def authorities(part: str, file: Path, now: datetime | None = None) -> Finding:
    """Check that the CAs whose clients may connect can be read, and are valid at a moment."""
    named = f"{part} authorities"
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        return Finding(named, "FAILS", f"{error.filename}: {error.strerror}", "the collector's user must read it")
    except ValueError:
        return Finding(named, "FAILS", f"{file} is no PEM", "write the CAs' certificates as PEM")
    return _validity(named, min(found, key=lambda each: each.not_valid_after_utc), now or datetime.now(UTC))


def _validity(part: str, leaf: x509.Certificate, now: datetime) -> Finding:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begin:
        return Finding(part, "FAILS", f"certificate is valid only from {begin:%Y-%m-%d}", "set this machine's clock")
    if now >= end:
        return Finding(part, "FAILS", f"certificate expired on {end:%Y-%m-%d}", "have a new one issued")
    state: State = "warning" if end - now < EXPIRES_SOON else "ok"
    return Finding(part, state, f"certificate is valid until {end:%Y-%m-%d}", "have a new one issued" * (state != "ok"))


def arrived(part: str, state: SourceState | None) -> Finding:
    """Judge what a source has sent: that anything came, what share was parsed, and whether its clock runs ahead."""
    if state is None or not state.accepted:
        return Finding(part, "warning", "nothing has arrived", "let the system send, and look at firewalls between")
    last = f"last event {state.last_event or 'before the start of the collector'}"
    if state.parsed is not None and state.parsed < PARSED_WELL:
        level: State = "FAILS" if state.parsed < PARSED_BADLY else "warning"
        message = f"{state.dead_lettered} of {state.accepted} records could not be read, {last}"
        return Finding(part, level, message, "wardwatch deadletter list says why; are parser and charset right?")
    if _ahead(state):
        return Finding(part, "warning", f"its clock runs ahead: {last}, arrived {state.last_record}", "zone or clock")
    if hours := _zone_off(state):
        message = f"its last event is {hours:g} hours older than its arrival {state.last_record}: {last}"
        return Finding(part, "warning", message, "is the zone of its times another? set zone of the source")
    return Finding(part, "ok", f"{state.accepted} received, {state.waiting} waiting, {last}")


def _zone_off(state: SourceState) -> float:
    """Return by how many hours the last event lags, where that looks like another zone; 0.0 where it does not."""
    behind = -_lead(state) / HALF_HOUR
    steps = round(behind)
    like_a_zone = 2 <= steps <= FARTHEST_ZONES and abs(behind - steps) * HALF_HOUR < LIVE
    return steps / 2 if like_a_zone else 0.0


def _ahead(state: SourceState) -> bool:
    return _lead(state) > AHEAD


def _lead(state: SourceState) -> timedelta:
    """Return how much later the last event says that it was than it arrived; nothing where none came."""
    if not state.last_event or not state.last_record:
        return timedelta()
    return datetime.fromisoformat(state.last_event) - datetime.fromisoformat(state.last_record)
