"""Rules of others brought into a folder of ours: a checkout, a zip or a tar file of SigmaHQ's shape.

Nothing of it is run and nothing is unpacked beside the rules and the licence; their names are checked, links are
skipped, sizes are bounded (CWE-22, CWE-409). A manifest keeps where the rules came from and what they were.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detections.sigma import Ruleset
from detections.sigma.documents import MAX_BYTES
from detections.sigma.rule import RuleText
from wardwatch.errors import RuleError

MANIFEST = "manifest.json"
MAX_FILES = 20_000
MAX_TOTAL_BYTES = 200 * 2**20
MAX_MEMBERS = 100_000

_RULES = re.compile(r"(.*/)?rules[^/]*/.+\.ya?ml")
_TESTS = (".test.yml", ".test.yaml")
_LICENCE = re.compile(r"(LICEN[CS]E|COPYING)[^/]*", re.IGNORECASE)
_BROKEN = (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, tarfile.TarError)  # RuntimeError: encrypted
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass
class Source:
    """What a checkout or archive holds: texts by path, the licence, and the version it tells."""

    path: Path
    texts: dict[str, bytes] = field(default_factory=dict)
    licence: str = ""
    version: str = ""
    skipped: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents."""
        lines = (f"{name} {_hash(data)}" for name, data in sorted(self.texts.items()))
        return _hash("\n".join(lines).encode())


@dataclass(frozen=True)
class Change:
    """An import compared with the one before: paths, and reasons by path of what can't be loaded."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    rejected: dict[str, str]
    newly_rejected: list[str]
    loaded: int


def read(path: Path) -> Source:
    """Return the rules of a folder or archive; raises RuleError for what is none, too much, or tries to escape."""
    source = Source(path)
    try:
        _take(source)
    except _BROKEN as error:
        raise _refused(path, f"can't be read: {error}") from None
    if not source.texts:
        raise _refused(path, "no rules: *.yml in a folder named rules…")
    return source


def _take(source: Source) -> None:
    size = 0
    for name, data in _members(source.path, source):
        size += len(data)
        if len(source.texts) >= MAX_FILES or size > MAX_TOTAL_BYTES:
            raise _refused(source.path, f"more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes of rules")
        if _LICENCE.fullmatch(name):
            source.licence = data.decode("utf-8", "replace")
        else:
            source.texts[name] = data


def compare(source: Source, folder: Path) -> Change:
    """Load the rules of a source, without writing, and compare them with the last import into the folder."""
    texts, broken = _decoded(source)
    ruleset = Ruleset.of(texts)
    rejected = {str(each.file): f"line {each.line}: {each.reason}" for each in ruleset.rejected} | broken
    last = manifest(folder)
    before, now = last.get("files", {}), {name: _hash(data) for name, data in source.texts.items()}
    return Change(
        added=sorted(now.keys() - before.keys()),
        changed=sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        removed=sorted(before.keys() - now.keys()),
        rejected=rejected,
        newly_rejected=sorted(rejected.keys() - last.get("rejected", {}).keys()),
        loaded=len(ruleset.rules),
    )


def write(source: Source, change: Change, folder: Path, at: str) -> None:
    """Put the rules and their manifest in place of the last import, as a whole; ``at`` is the time, RFC 3339."""
    if folder.exists() and not (folder / MANIFEST).exists() and any(folder.iterdir()):
        raise _refused(folder, "this folder was not made by an import; it is left as it is")
    new, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for name, data in source.texts.items():
        file = new / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    if source.licence:
        (new / "LICENSE").write_text(source.licence, "utf-8")
    (new / MANIFEST).write_bytes(orjson.dumps(_manifest(source, change, at), option=orjson.OPT_INDENT_2))
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the last import into a folder, {} without one."""
    try:
        found = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as error:
        raise _refused(folder / MANIFEST, f"not JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def _manifest(source: Source, change: Change, at: str) -> dict[str, Any]:
    return {
        "source": source.path.name,
        "version": source.version,
        "digest": source.digest,
        "licence": source.licence.strip().partition("\n")[0],
        "imported": at,
        "loaded": change.loaded,
        "rejected": change.rejected,
        "files": {name: _hash(data) for name, data in sorted(source.texts.items())},
    }


def _decoded(source: Source) -> tuple[list[RuleText], dict[str, str]]:
    texts: list[RuleText] = []
    broken: dict[str, str] = {}
    for name, data in sorted(source.texts.items()):
        try:
            texts.append(RuleText(Path(name), data.decode("utf-8")))
        except UnicodeDecodeError as error:
            broken[name] = f"line 1: not UTF-8: {error.reason}"
    return texts, broken


def _members(path: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        source.version = _head(path)
        return _of_folder(path, source)
    if zipfile.is_zipfile(path):
        return _of_zip(path, source)
    if path.is_file() and tarfile.is_tarfile(path):
        return _of_tar(path, source)
    raise _refused(path, "no folder, zip or tar file")


def _of_folder(path: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if not _wanted(name):
            continue
        if file.is_symlink() or not file.resolve().is_relative_to(path.resolve()):
            source.skipped.append(f"{name}: a link")
        elif file.is_file() and _fits(name, file.stat().st_size, source):
            yield name, file.read_bytes()[:MAX_BYTES]


def _of_zip(path: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        source.version = _commit(archive.comment.decode("ascii", "replace"))  # git archive writes it there
        infos = archive.infolist()
        top = _top([info.filename for info in infos], path)
        for info in infos:
            name = _checked(info.filename, top, path)
            if info.external_attr >> 28 == 0xA:  # S_IFLNK
                source.skipped.append(f"{name}: a link")
            elif _wanted(name) and not info.is_dir() and _fits(name, info.file_size, source):
                with archive.open(info) as member:
                    yield name, member.read(MAX_BYTES)


def _of_tar(path: Path, source: Source) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        members = _bounded(archive, path)
        source.version = _commit(archive.pax_headers.get("comment", ""))
        top = _top([member.name for member in members], path)
        for member in members:
            name = _checked(member.name, top, path)
            if not member.isfile() and not member.isdir():
                source.skipped.append(f"{name}: a link or device")
            elif _wanted(name) and member.isfile() and _fits(name, member.size, source):
                data = archive.extractfile(member)
                yield name, data.read(MAX_BYTES) if data else b""


def _bounded(archive: tarfile.TarFile, path: Path) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    size = 0
    for member in archive:
        members.append(member)
        size += member.size
        if len(members) > MAX_MEMBERS or size > MAX_TOTAL_BYTES:
            raise _refused(path, f"more than {MAX_MEMBERS} members or {MAX_TOTAL_BYTES} bytes")
    return members


def _top(names: list[str], path: Path) -> str:
    if len(names) > MAX_MEMBERS:
        raise _refused(path, f"more than {MAX_MEMBERS} members")
    tops = {name.partition("/")[0] for name in names}
    (top,) = tops if len(tops) == 1 else ("",)
    # an archive of a checkout has one folder around it; one of the rules alone is that folder
    return "" if top.startswith("rules") else top


def _checked(name: str, top: str, path: Path) -> str:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or (parts and ":" in parts[0]):
        raise _refused(path, f"the member {name[:200]!r} points outside")
    return name.removeprefix(f"{top}/") if top else name


def _wanted(name: str) -> bool:
    is_rule = _RULES.fullmatch(name) is not None and not name.endswith(_TESTS)
    return is_rule or _LICENCE.fullmatch(name) is not None


def _fits(name: str, size: int, source: Source) -> bool:
    if size > MAX_BYTES:
        source.skipped.append(f"{name}: more than {MAX_BYTES} bytes")
    return size <= MAX_BYTES


def _head(path: Path) -> str:
    """Return the commit of a checkout, read from git's own files: no program is started in a folder of others."""
    git = path / ".git"
    try:
        head = (git / "HEAD").read_text("ascii").strip()
        if not head.startswith("ref: "):
            return _commit(head)
        ref = head.removeprefix("ref: ")
        if ".." not in ref and (git / ref).is_file():
            return _commit((git / ref).read_text("ascii").strip())
        packed = (git / "packed-refs").read_text("ascii").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {ref}")), "")
    except (OSError, UnicodeDecodeError):
        return ""


def _commit(text: str) -> str:
    return text if _COMMIT.fullmatch(text) else ""


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _refused(path: Path, reason: str) -> RuleError:
    return RuleError(reason, step="rules import", record=str(path))
