from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from wardwatch.errors import SettingsError
from wardwatch.settings import Settings
from wardwatch.stage import EVENTS, STAGES, Runtime, health_port, serve_health
from wardwatch.testing.ports import free_port, wait_until


def test_health_is_200_until_a_part_fails_and_metrics_count() -> None:
    runtime = Runtime("matcher")
    server = serve_health(Settings(health_port=0), runtime)
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        runtime.report("bus", ok=True, message="sqlite")
        assert httpx.get(f"{url}/health").json()["parts"]["bus"]["message"] == "sqlite"
        runtime.report("bus", ok=False, message="broker gone")
        answer = httpx.get(f"{url}/health")
        assert answer.status_code == 503
        assert answer.json()["parts"]["bus"]["message"] == "broker gone"
        EVENTS.labels("matcher", "renai", "hl7v2", "processed").inc(3)
        sample = 'wardwatch_events_total{outcome="processed",source="hl7v2",stage="matcher",tenant="renai"} 3.0'
        assert sample in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/else").status_code == 404
    finally:
        server.shutdown()
        server.server_close()


def test_a_taken_health_port_is_refused_with_the_remedy() -> None:
    runtime = Runtime("matcher")
    server = serve_health(Settings(health_port=0), runtime)
    taken = server.server_port - list(STAGES).index("matcher")
    try:
        with pytest.raises(SettingsError, match="WARDWATCH_HEALTH_PORT"):
            serve_health(Settings(health_port=taken), runtime)
    finally:
        server.shutdown()
        server.server_close()


def test_every_process_of_one_machine_has_a_port_of_its_own() -> None:
    settings = Settings()
    ports = [health_port(settings, stage, instance) for stage in STAGES for instance in range(4)]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("end", ["terminated", "orphaned"])
def test_a_stage_ends_when_it_is_told_to_or_when_its_supervisor_is_gone(tmp_path: Path, end: str) -> None:
    port = free_port()
    environment = {**os.environ, "WARDWATCH_DATA_DIR": str(tmp_path), "WARDWATCH_HEALTH_PORT": str(port)}
    stage = [sys.executable, "-m", "wardwatch", "run", "archiver", "--supervised"]
    launcher = f"import subprocess, sys, time; p = subprocess.Popen({stage!r}); print(p.pid, flush=True); p.wait()"
    parent = subprocess.Popen([sys.executable, "-c", launcher], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    wait_until(lambda: answers(port + list(STAGES).index("archiver")), what="health page")
    if end == "terminated":
        os.kill(pid, signal.SIGTERM)
    else:
        parent.kill()
    parent.wait()
    wait_until(lambda: not alive(pid), timeout_s=15, what="end of the stage")
    parent.stdout.close()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.HTTPError:
        return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"State:\tZ" not in Path(f"/proc/{pid}/status").read_bytes() if Path(f"/proc/{pid}").exists() else True
