from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from dashboards.auth.people import People
from dashboards.console import Console
from dashboards.feed import Feed
from tests.dashboards.site import KeptTables, form_token, seed, sign_in, visiting
from wardwatch.settings import ConsoleSettings
from wardwatch.store import Store, open_store
from wardwatch.testing.ports import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def sign_out(client: httpx.Client, store: Store) -> None:
    token = form_token(client.get("/").text)
    assert client.post("/logout", data={"csrf": token}).status_code == 303


def disable(client: httpx.Client, store: Store) -> None:
    People(store).disable("lin")


def see_less(client: httpx.Client, store: Store) -> None:
    people = People(store)
    people.replace(replace(people.get("lin"), tenants=frozenset({"renai"})))


@pytest.mark.parametrize("end", [sign_out, disable, see_less])
def test_a_stream_ends_when_its_person_may_no_longer_see_it(
    end: Callable[[httpx.Client, Store], None], store: Store
) -> None:
    settings = ConsoleSettings(secure_cookies=False)
    console = Console(settings, store, KeptTables(), feed=Feed(check_s=0.1))
    with visiting(console) as client:
        sign_in(client, "lin")
        with client.stream("GET", "/api/v1/stream") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: ready"
            end(client, store)
            assert [line for line in lines if line.startswith("event:")] == ["event: ended"]


@contextmanager
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the console as a process of its own."""
    environment = os.environ | {
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_HEALTH_PORT": "0",
        "WARDWATCH_CONSOLE__LISTEN": f"127.0.0.1:{port}",
        "WARDWATCH_CONSOLE__SECURE_COOKIES": "false",
    }
    child = subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "console", "--supervised"], env=environment)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_the_process_ends_within_ten_seconds_of_sigterm_though_a_stream_is_open(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    seed(store)
    store.close()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with process(tmp_path, port) as child, httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        wait_until(lambda: answers(client), timeout_s=60, what="console")
        sign_in(client, "lin")
        with client.stream("GET", "/api/v1/stream") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: ready"
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=10) == 0
            assert [line for line in lines if line.startswith("event:")] == []


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/login").status_code == 200
    except httpx.TransportError:
        return False
