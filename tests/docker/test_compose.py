"""The compose files keep the rules of the Compose specification and name only what the program has."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from bundle.__main__ import UNITS
from wardwatch.cli import COMMANDS
from wardwatch.settings import PREFIX, Settings, load
from wardwatch.stage import STAGES
from wardwatch.testing import peers

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker/site/docker-compose.yml")

Duration = Annotated[str, Field(pattern=r"^(\d+(us|ms|s|m|h))+$")]
Bytes = Annotated[str, Field(pattern=r"^\d+[bkmg]b?$")]
PortMapping = Annotated[str, Field(pattern=r"^(\d+\.\d+\.\d+\.\d+:)?\d+:\d+(/(tcp|udp))?$")]


class Strict(BaseModel):
    """A part of the Compose specification, as far as the files use it."""

    model_config = ConfigDict(extra="forbid")


class Health(Strict):
    """compose-spec, 05-services.md, healthcheck."""

    test: Annotated[list[str], Field(min_length=2)]
    interval: Duration
    timeout: Duration
    retries: int
    start_period: Duration


class Condition(Strict):
    """compose-spec, 05-services.md, depends_on."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Build(Strict):
    """compose-spec, build.md."""

    context: str
    dockerfile: str


class Replicas(Strict):
    """compose-spec, deploy.md."""

    replicas: int


class Service(Strict):
    """compose-spec, 05-services.md."""

    image: str
    build: Build | None = None
    command: list[str] | None = None
    restart: Literal["no", "always", "on-failure", "unless-stopped"] | None = None
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    stop_grace_period: Duration | None = None
    mem_limit: Bytes | None = None
    cpus: float | None = None
    pids_limit: int | None = None
    environment: dict[str, str] = {}
    secrets: list[str] = []
    volumes: list[str] = []
    networks: list[str] = []
    ports: list[PortMapping] = []
    profiles: list[str] = []
    depends_on: dict[str, Condition] = {}
    healthcheck: Health | None = None
    deploy: Replicas | None = None


class Network(Strict):
    """compose-spec, 06-networks.md."""

    internal: bool = False


class Secret(Strict):
    """compose-spec, 09-secrets.md."""

    file: str


class Compose(BaseModel):
    """compose-spec, 03-compose-file.md: only ``x-`` names may stand beside the known ones."""

    model_config = ConfigDict(extra="allow")

    name: str
    services: dict[str, Service]
    networks: dict[str, Network] = {}
    volumes: dict[str, dict[str, Any]] = {}
    secrets: dict[str, Secret] = {}


def read(name: str) -> Compose:
    compose = Compose.model_validate(yaml.safe_load((ROOT / name).read_text("utf-8")))
    assert all(key.startswith("x-") for key in compose.model_extra or {})
    return compose


def ours(compose: Compose) -> dict[str, Service]:
    return {name: service for name, service in compose.services.items() if service.image.startswith("wardwatch:")}


@pytest.mark.parametrize("name", FILES)
def test_every_network_volume_secret_and_dependency_is_declared(name: str) -> None:
    compose = read(name)
    for service in compose.services.values():
        assert set(service.networks) <= set(compose.networks)
        assert set(service.secrets) <= set(compose.secrets)
        assert set(service.depends_on) <= set(compose.services)
        named = {volume.split(":")[0] for volume in service.volumes if not volume.startswith(".")}
        assert named <= set(compose.volumes)


@pytest.mark.parametrize("name", FILES)
def test_a_dependency_on_health_has_a_health_check(name: str) -> None:
    compose = read(name)
    for service in compose.services.values():
        for other, condition in service.depends_on.items():
            if condition.condition == "service_healthy":
                assert compose.services[other].healthcheck


@pytest.mark.parametrize("name", FILES)
def test_every_command_and_stage_exists_in_the_program(name: str) -> None:
    for service in ours(read(name)).values():
        assert service.command
        assert service.command[0] in COMMANDS
        if service.command[0] == "run":
            assert service.command[1] in STAGES
            assert service.healthcheck
            assert service.healthcheck.test == ["CMD", "wardwatch", "doctor", "--stage", service.command[1]]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for service in ours(read(name)).values():
        with monkeypatch.context() as patch:
            for variable, value in service.environment.items():
                patch.setenv(variable, str(tmp_path) if variable == f"{PREFIX}SECRETS" else value)
            assert isinstance(load(), Settings)


@pytest.mark.parametrize("name", FILES)
def test_our_containers_are_confined_and_limited(name: str) -> None:
    for service in ours(read(name)).values():
        assert service.read_only
        assert service.cap_drop == ["ALL"]
        assert "no-new-privileges:true" in service.security_opt
        assert service.mem_limit
        assert service.pids_limit
        assert service.stop_grace_period == "15s"


def test_the_whole_system_runs_every_stage_and_two_matchers() -> None:
    services = read("docker-compose.yml").services
    assert set(STAGES) - {"relay"} <= set(services)  # a relay needs certificates first: docs/operator/relay.md
    matcher = services["matcher"].deploy
    assert matcher
    assert matcher.replicas == 2
    assert services["kibana"].profiles == ["kibana"]


@pytest.mark.parametrize(
    ("compose", "settings"),
    [
        ("docker-compose.yml", "docker/config/collector.toml"),
        ("docker/site/docker-compose.yml", "docker/site/collector.toml"),
    ],
)
def test_the_ports_published_are_those_the_collector_listens_on(compose: str, settings: str) -> None:
    published = {mapping.split(":")[-1].split("/")[0] for mapping in read(compose).services["collector"].ports}
    sources = load(ROOT / settings).collector.sources
    assert published == {source.listen.rpartition(":")[2] for source in sources}


def test_the_console_listens_on_the_port_that_is_published() -> None:
    console = read("docker-compose.yml").services["console"]
    port = console.environment["WARDWATCH_CONSOLE__LISTEN"].rpartition(":")[2]
    assert console.ports == [f"127.0.0.1:{port}:{port}"]


def test_the_image_copies_every_package_and_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "docker/Dockerfile").read_text("utf-8")
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]
    for package in packages:
        assert f"COPY {package} {package}\n" in dockerfile
    assert dockerfile.count("FROM ") == 2
    assert re.search(r"^USER wardwatch$", dockerfile, re.M)


def test_the_systemd_unit_starts_the_collector_and_gives_it_time_to_drain() -> None:
    unit = (ROOT / "docker/site/wardwatch-collector.service").read_text("utf-8")
    values = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    command = values["ExecStart"].split()
    assert command[1:3] == ["run", "collector"]
    assert command[1] in COMMANDS
    assert int(values["TimeoutStopSec"]) > 10
    assert values["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize("name", UNITS)
def test_each_systemd_unit_is_confined_and_has_no_setting_that_a_person_would_not_see(
    tmp_path: Path, name: str
) -> None:
    unit = ROOT / name
    assert "\nEnvironment=" not in unit.read_text("utf-8")
    analyze = peers.program("systemd-analyze", "systemd")
    here = tmp_path / unit.name
    here.write_text(unit.read_text("utf-8").replace("/opt/wardwatch/bin/wardwatch", sys.executable), "utf-8")
    verified = subprocess.run([analyze, "verify", str(here)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    limit = ["security", "--offline=true", "--threshold=20", str(unit)]  # of 100
    judged = subprocess.run([analyze, "--no-pager", *limit], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-300:]


def test_the_settings_of_a_site_name_the_folder_that_the_unit_has() -> None:
    settings = load(ROOT / "docker/site/collector.toml")
    assert settings.data_dir == Path("/var/lib/wardwatch")
    assert "StateDirectory=wardwatch\n" in (ROOT / "docker/site/wardwatch-collector.service").read_text("utf-8")
