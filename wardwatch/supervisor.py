"""The supervisor: each stage is a process; one that crashes is started again, later each time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger()

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
STEADY_S = 60.0  # a process that ran so long has recovered: its next crash waits from the start
GRACE_S = 10.0
SETTINGS_EXIT = 2  # a process that refuses its settings would refuse them again


@dataclass(frozen=True, slots=True)
class Spec:
    """One process: its stage, the number of the instance, its configuration file and changes to the environment."""

    stage: str
    instance: int = 0
    config: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The stage, with the instance's number behind it from the second on."""
        return f"{self.stage}-{self.instance}" if self.instance else self.stage

    def command(self) -> list[str]:
        """Return the command line that runs this process."""
        config = ["--config", str(self.config)] if self.config else []
        number = str(self.instance)
        return [sys.executable, "-m", "wardwatch", "run", self.stage, "--instance", number, "--supervised", *config]


@dataclass
class Child:
    """A process and its history: ``state`` is running, waiting, stopped or refused."""

    spec: Spec
    process: subprocess.Popen[bytes] | None = None
    state: str = "stopped"
    restarts: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_s: float = FIRST_WAIT_S


class Supervisor:
    """Starts, watches and stops the processes; ``tick`` is called regularly by whoever owns it."""

    def __init__(self, specs: Sequence[Spec], *, log_file: Path | None = None) -> None:
        self.children = [Child(spec) for spec in specs]
        self._log = log_file.open("ab") if log_file else None

    def start(self) -> None:
        """Start every process."""
        for child in self.children:
            self._start(child)

    def tick(self) -> None:
        """Notice processes that ended and start again those whose time has come."""
        now = time.monotonic()
        for child in self.children:
            if child.state == "running":
                self._notice(child, now)
            elif child.state == "waiting" and now >= child.start_at:
                child.restarts += 1
                self._start(child)

    def stop(self) -> None:
        """Tell every process to drain, and end those that have not after GRACE_S."""
        for child in self.children:
            if child.process and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for child in self.children:
            if child.process:
                self._wait(child, child.process, deadline - time.monotonic())
        if self._log:
            self._log.close()

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 our own interpreter and module
            child.spec.command(),
            env={**os.environ, **child.spec.environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the others in order
        )
        child.state, child.started_at = "running", time.monotonic()

    def _notice(self, child: Child, now: float) -> None:
        code = child.process.poll() if child.process else None
        if code is None:
            return
        child.exit_code = code
        if code == SETTINGS_EXIT:
            child.state = "refused"
            log.error("process_refused", process=child.spec.name, remedy="see its message and correct the settings")
            return
        child.wait_s = FIRST_WAIT_S if now - child.started_at > STEADY_S else min(child.wait_s * 2, LONGEST_WAIT_S)
        child.state, child.start_at = "waiting", now + child.wait_s
        log.error("process_ended", process=child.spec.name, exit_code=code, restart_in_s=child.wait_s)

    def _wait(self, child: Child, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        try:
            child.exit_code = process.wait(max(timeout_s, 0.1))
        except subprocess.TimeoutExpired:
            log.error("process_killed", process=child.spec.name, reason=f"did not drain in {GRACE_S:.0f} s")
            process.kill()
            child.exit_code = process.wait()
        child.state = "stopped"
