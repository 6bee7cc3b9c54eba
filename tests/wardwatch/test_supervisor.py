from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wardwatch import supervisor as module
from wardwatch.supervisor import Child, Spec, Supervisor
from wardwatch.testing.ports import wait_until

STEADY = "import signal, threading; s = threading.Event(); signal.signal(15, lambda *_: s.set()); s.wait()"
STUBBORN = (
    "import signal, threading; signal.signal(15, signal.SIG_IGN); print('up', flush=True); threading.Event().wait()"
)


@dataclass(frozen=True, slots=True)
class Script(Spec):
    """A process that runs a line of Python instead of a stage."""

    code: str = ""

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.code]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(module, "GRACE_S", 1.0)


@pytest.fixture
def started(request: pytest.FixtureRequest, quick: None) -> Iterator[tuple[Supervisor, Child]]:
    supervisor = Supervisor([Script("matcher", code=request.param)])
    supervisor.children[0].wait_s = 0.05
    supervisor.start()
    yield supervisor, supervisor.children[0]
    supervisor.stop()


def turn(supervisor: Supervisor, child: Child, state: str) -> bool:
    supervisor.tick()
    return child.state == state


@pytest.mark.parametrize("started", [STEADY], indirect=True)
def test_a_killed_process_is_started_again(started: tuple[Supervisor, Child]) -> None:
    supervisor, child = started
    assert child.process
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: turn(supervisor, child, "running") and child.restarts == 1)
    assert child.process.pid != first
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("started", ["raise SystemExit(1)"], indirect=True)
def test_a_process_that_keeps_crashing_is_started_later_each_time(started: tuple[Supervisor, Child]) -> None:
    supervisor, child = started
    waits = []
    for _ in range(3):
        wait_until(lambda: turn(supervisor, child, "waiting"))
        waits.append(child.wait_s)
        wait_until(lambda: turn(supervisor, child, "running"))
    assert waits == sorted(set(waits))


@pytest.mark.parametrize("started", ["raise SystemExit(2)"], indirect=True)
def test_a_process_that_refuses_its_settings_is_not_started_again(started: tuple[Supervisor, Child]) -> None:
    supervisor, child = started
    wait_until(lambda: turn(supervisor, child, "refused"))
    supervisor.tick()
    assert child.restarts == 0


def test_stopping_drains_the_willing_and_kills_the_stubborn(quick: None, tmp_path: Path) -> None:
    output = tmp_path / "log"
    supervisor = Supervisor([Script("matcher", code=STEADY), Script("alerter", code=STUBBORN)], log_file=output)
    supervisor.start()
    wait_until(lambda: b"up" in output.read_bytes())
    supervisor.stop()
    assert supervisor.children[1].exit_code == -signal.SIGKILL
    assert all(child.process and child.process.poll() is not None for child in supervisor.children)


def test_a_stage_is_run_by_the_command_that_a_person_would_type() -> None:
    command = Spec("collector", 1, Path("/site.toml")).command()
    assert command[1:] == [
        "-m",
        "wardwatch",
        "run",
        "collector",
        "--instance",
        "1",
        "--supervised",
        "--config",
        "/site.toml",
    ]
