"""``wardwatch rules import``: rules of others, taken in safely."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from typer.testing import Result

from detections import importing
from detections.sigma import Ruleset
from tests.detections.cli.laboratory import ROOT, invoke
from wardwatch.errors import RuleError

ONE = yaml.safe_dump(ROOT).encode()
TWO = yaml.safe_dump(ROOT | {"id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "title": "Two"}).encode()
FILES = {"LICENSE": b"Detection Rule License 1.1\nmore", "rules/linux/one.yml": ONE, "rules/two.yml": TWO}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def zipped(path: Path, files: Mapping[str, bytes], comment: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.comment = comment.encode()
    return path


def tarred(path: Path, files: Mapping[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": COMMIT}) as archive:
        for name, data in files.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            info.size = len(data) if isinstance(data, bytes) else 0
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return path


def within(files: Mapping[str, Any]) -> dict[str, Any]:
    return {f"sigma-master/{name}": data for name, data in files.items()}


def take(path: Path, into: Path, *options: str) -> Result:
    return invoke("import", path, "--into", into, *options)


def manifest(into: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((into / "manifest.json").read_bytes())
    return found


@pytest.mark.parametrize("kind", ["checkout", "zip", "tar"])
def test_rules_licence_and_version_are_kept(tmp_path: Path, kind: str) -> None:
    files = FILES | {"tests/rule.yml": ONE, "rules/two.test.yml": b"match: []", "README.md": b"x", "rules/x.py": b"x"}
    if kind == "checkout":
        head = {".git/HEAD": b"ref: refs/heads/master\n", ".git/refs/heads/master": COMMIT.encode()}
        path = folder(tmp_path / "sigma", files | head)
    elif kind == "zip":
        path = zipped(tmp_path / "sigma.zip", within(files), COMMIT)
    else:
        path = tarred(tmp_path / "sigma.tar.gz", within(files))
    into = tmp_path / "ours"
    result = take(path, into)
    assert result.exit_code == 0, result.output
    kept = {file.relative_to(into).as_posix() for file in into.rglob("*") if file.is_file()}
    assert kept == {*FILES, "manifest.json"}
    found = manifest(into)
    assert (found["version"], found["licence"], found["loaded"]) == (COMMIT, "Detection Rule License 1.1", 2)
    assert len(Ruleset.load([into]).rules) == 2
    assert "WARDWATCH_MATCHER__RULES" in result.stdout


def test_the_version_of_a_real_checkout_is_its_commit(tmp_path: Path) -> None:
    path = folder(tmp_path / "sigma", FILES)
    git = ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "rules"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert importing.read(path).version == commit
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    assert importing.read(path).version == commit


def test_the_next_import_says_what_is_new_changed_gone_and_newly_rejected(tmp_path: Path) -> None:
    into = tmp_path / "ours"
    take(folder(tmp_path / "a", FILES | {"rules/gone.yml": b"a: ["}), into)
    assert list(manifest(into)["rejected"]) == ["rules/gone.yml"]
    bad = TWO.replace(b"title: Two", b"title: Two\nlevel: urgent")
    path = folder(tmp_path / "b", FILES | {"rules/two.yml": bad, "rules/new.yml": b"a: ["})
    before = manifest(into)
    for options in (["--dry-run"], []):
        assert manifest(into) == before
        said = take(path, into, *options).stdout.splitlines()
        for line, name in [("added: 1", "new.yml"), ("changed: 1", "two.yml"), ("removed: 1", "gone.yml")]:
            assert name in said[said.index(line) + 1]
        place = said.index("newly rejected: 2")
        assert "urgent" in "".join(said[place : place + 3])
    assert not (into / "rules/gone.yml").exists()
    assert sorted(manifest(into)["rejected"]) == ["rules/new.yml", "rules/two.yml"]


@pytest.mark.parametrize("name", ["../rules/x.yml", "/rules/x.yml", "a/../../rules/x.yml", "rules\\..\\x.yml"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_points_outside_refuses_the_archive(tmp_path: Path, pack: Any, name: str) -> None:
    (tmp_path / "in").mkdir()
    result = take(pack(tmp_path / "in" / "evil", FILES | {name: ONE}), tmp_path / "ours")
    assert isinstance(result.exception, RuleError)
    assert "points outside" in str(result.exception)
    assert not (tmp_path / "ours").exists()


def test_links_are_left_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yml"
    secret.write_bytes(ONE)
    checkout = folder(tmp_path / "sigma", FILES)
    (checkout / "rules" / "link.yml").symlink_to(secret)
    (checkout / "rules" / "dir").symlink_to(tmp_path)
    link = tarfile.TarInfo()
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    for path in (checkout, tarred(tmp_path / "s.tgz", {**FILES, "rules/link.yml": link})):
        source = importing.read(path)
        assert sorted(source.texts) == ["rules/linux/one.yml", "rules/two.yml"]
        assert "rules/link.yml: a link" in source.skipped[0]


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "s.zip", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("rules/link.yml")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert importing.read(path).skipped == ["rules/link.yml: a link"]


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = FILES | {"rules/big.yml": b"#" * 2_000_000}
    for pack in (zipped, tarred):
        source = importing.read(pack(tmp_path / pack.__name__, big))
        assert (len(source.texts), source.skipped[0].split(":")[0]) == (2, "rules/big.yml")
    for limit in ("MAX_FILES", "MAX_TOTAL_BYTES", "MAX_MEMBERS"):
        with monkeypatch.context() as patch:
            patch.setattr(importing, limit, 1)
            with pytest.raises(RuleError, match="more than"):
                importing.read(tmp_path / "tarred")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut", b"\x1f\x8b\x08 cut", b"title: a rule"])
def test_a_file_that_is_no_archive_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(RuleError):
        importing.read(tmp_path / "x")


def test_a_cut_archive_is_a_clear_error(tmp_path: Path) -> None:
    for pack in (zipped, tarred):
        path = pack(tmp_path / pack.__name__, FILES)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(RuleError):
            importing.read(path)


def test_a_folder_that_no_import_made_is_left_as_it_is(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", {"precious.yml": ONE})
    result = take(folder(tmp_path / "sigma", FILES), own)
    assert "left as it is" in str(result.exception)
    assert (own / "precious.yml").read_bytes() == ONE


def test_sigmahq_is_taken_whole(sample_data: Path, tmp_path: Path) -> None:
    source = importing.read(sample_data / "sigmahq-rules.tar.gz")
    change = importing.compare(source, tmp_path / "ours")
    assert len(source.texts) == len(change.added)
    assert change.loaded + len(change.rejected) == len(source.texts) > 3000
