"""Identities sent to a real collector by every source leave it nowhere: not on the bus, nor in what is said of it."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from ingest.parsers import PARSERS
from tests.ingest.parsers.test_leaks import CANARIES, PLANTED, forms
from tests.ingest.running import on_bus, settings_of
from wardwatch import topics
from wardwatch.archiver import archive
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import RecordError
from wardwatch.settings import SourceSettings
from wardwatch.store import open_store
from wardwatch.testing.ports import free_block, wait_until

TOKEN = "a-token-of-the-test"
ODD_BYTES = 7  # of a segment: every frame is split
GARBAGE = b"\x01 no record at all " + " ".join(CANARIES).encode() + b" \x02\n"


def traces(data: bytes) -> int:
    """Return how many canaries, in any form, some bytes hold."""
    return sum(data.count(form) for canary in CANARIES for form in set(forms(canary)))


@contextmanager
def collector(folder: Path, port: int, *sources: SourceSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real collector whose log goes to ``folder/log``."""
    found = [source.model_dump(mode="json") | {"token": source.token.get_secret_value()} for source in sources]
    environment = os.environ | {
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_HEALTH_PORT": str(port),
        "WARDWATCH_LOG_LEVEL": "debug",
        "WARDWATCH_COLLECTOR__TENANT": "renai",
        "WARDWATCH_COLLECTOR__HEARTBEAT_S": "0.5",
        "WARDWATCH_COLLECTOR__SOURCES": orjson.dumps(found).decode(),
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-X", "faulthandler", "-m", "wardwatch", "run", "collector", "--supervised"]
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield child
        finally:
            child.kill()
            child.wait()


def page(port: int, name: str) -> bytes:
    """Return a page of the collector's health server, b"" when it does not answer."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/{name}", timeout=10, trust_env=False).content
    except httpx.HTTPError:
        return b""


def accounted(port: int, least: int) -> dict[str, Any] | None:
    """Return the counters of the sources when so many records were accepted and none waits, else None."""
    health = orjson.loads(page(port, "health") or b"{}")
    spool = health.get("parts", {}).get("spool", {})
    sources: dict[str, Any] = spool.get("sources", {})
    accepted = sum(source["accepted"] for source in sources.values())
    return sources if accepted >= least and spool.get("waiting") == 0 else None


def drop(folder: Path) -> tuple[list[SourceSettings], int, int]:
    """Write every planted record and a piece of garbage for every source; return sources, records and canaries."""
    sources, records, planted = [], 0, 0
    for name in PARSERS:
        place = folder / "logs" / name
        place.mkdir(parents=True)
        found = [data for source, data in PLANTED.values() if source == name]
        for number, data in enumerate([*found, GARBAGE]):
            (place / f"{number}.log").write_bytes(data.rstrip(b"\n") + b"\n")
            planted += traces(data)
        records += len(found) + 1
        sources.append(SourceSettings(parser=name, transport="file", path=str(place / "*.log")))
    return sources, records, planted


def send_in_pieces(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), ODD_BYTES):
            peer.sendall(data[start : start + ODD_BYTES])


def test_no_identity_leaves_a_collector_by_any_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_block(5)
    chain, key = write_certificate(tmp_path / "tls")
    listen = [f"127.0.0.1:{port + number}" for number in range(1, 5)]
    network = [
        SourceSettings(parser="hl7v2", transport="mllp", listen=listen[0]),
        SourceSettings(parser="linux", transport="tcp", listen=listen[1]),
        SourceSettings(parser="windows", transport="http", listen=listen[2], path="/w", token=SecretStr(TOKEN)),
        SourceSettings(parser="dicom_audit", transport="tls", listen=listen[3], certificate=chain, key=key),
    ]
    hl7, linux = PLANTED["hl7v2 in GBK"][1], PLANTED["linux 1"][1]
    windows = PLANTED["windows 1"][1]
    files, records, planted = drop(tmp_path)
    with collector(tmp_path, port, *network, *files) as process:
        wait_until(lambda: page(port, "health"), timeout_s=120, what="a collector that answers")
        limits = Path(f"/proc/{process.pid}/limits").read_text("ascii")
        wait_until(lambda: accounted(port, records), timeout_s=240, what="every file read")
        send_in_pieces(port + 1, b"\x0b" + hl7 + b"\x1c\r")
        send_in_pieces(port + 2, linux + b"\n" + GARBAGE)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
        url = f"http://127.0.0.1:{port + 3}/w"
        answer = httpx.post(url, content=gzip.compress(windows), headers=headers, trust_env=False, timeout=60)
        planted += traces(hl7 + linux + GARBAGE + windows)
        counted = wait_until_accounted(port, records + 4)
        said = {"health": page(port, "health"), "metrics": page(port, "metrics"), "answer": answer.content}
    settings = settings_of(tmp_path)
    for topic in (topics.events("renai"), topics.deadletter("renai"), topics.heartbeats("renai")):
        found = on_bus(settings, topic.name)
        said[topic.name] = b"\n".join(b"%r %b" % (sorted(one.headers.items()), one.value or b"") for one in found)
        assert found, topic.name
    said |= {"log": (tmp_path / "log").read_bytes(), "store": stored(tmp_path)}
    said |= {path.name: path.read_bytes() for path in tmp_path.glob("*.sqlite*")}
    leaks = {name: traces(data) for name, data in said.items() if traces(data)}
    with capsys.disabled():
        sources = f"{records + 4} records of {len(PARSERS)} sources"
        print(f"\ncanaries: {planted} planted in {sources}, {sum(leaks.values())} found")
    assert leaks == {}
    assert {name for name, count in counted.items() if count["forwarded"]} == set(PARSERS)
    assert sum(count["dead_lettered"] for count in counted.values()) >= len(PARSERS) // 2
    kept = b"".join(path.read_bytes() for path in (tmp_path / "collector" / "renai").glob("quarantine.sqlite*"))
    assert traces(kept), "the hospital keeps the record"
    assert limits.partition("Max core file size")[2].split()[0] == "0"


def wait_until_accounted(port: int, least: int) -> dict[str, Any]:
    wait_until(lambda: accounted(port, least), timeout_s=120, what="every record accounted for")
    return accounted(port, least) or {}


def stored(folder: Path) -> bytes:
    """Archive what is on the bus and return the files of the store."""
    path = folder / "store" / "store.sqlite"
    path.parent.mkdir()
    store = open_store(f"sqlite:///{path}")
    store.setup()

    class Nobody:
        def add(self, _record: object, error: RecordError) -> None:
            raise error

    archive(store, on_bus(settings_of(folder), topics.events("renai").name), Nobody())  # type: ignore[arg-type]
    store.close()
    return b"".join(one.read_bytes() for one in path.parent.iterdir())
