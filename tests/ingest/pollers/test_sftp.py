from __future__ import annotations

import gzip
import stat
import threading
from pathlib import Path
from typing import Any, ClassVar

import paramiko
import pytest
from paramiko import sftp as answers

from ingest.checks import Finding, check
from ingest.pollers import sftp
from tests.ingest.pollers.sshd import Server, lying, sshd, start, write_key
from tests.ingest.running import HL7, Running, dead_letters, events, linux, running, settings_of
from wardwatch.errors import SettingsError
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until


def source(server: Server, path: str, parser: str = "linux", **more: Any) -> SourceSettings:
    values = {
        "parser": parser,
        "transport": "sftp",
        "url": f"sftp://127.0.0.1:{server.port}{path}",
        "user": server.user,
        "key": server.key,
        "known_hosts": server.known_hosts,
        "every_s": 1,
    }
    return SourceSettings.model_validate(values | more)


def write(path: Path, *numbers: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(linux(number) + b"\n" for number in numbers))


def accepted(site: Running, name: str, number: int) -> None:
    wait_until(lambda: site.counts(name)[0] >= number and site.settled(), timeout_s=20, what=f"{number} records")
    assert site.counts(name)[0] == number


def looked_again(site: Running, folder: Path) -> None:
    """Wait until the folder has been listed twice more: what a look would have read wrongly is there."""
    feed = site.listeners[0]._feed  # type: ignore[attr-defined] # no counter of the poller tells its looks
    for _ in range(2):
        before = feed._began
        wait_until(lambda: feed._began != before, what=f"a look at {folder}")  # noqa: B023 used at once


def ids(site: Running) -> set[str]:
    return {event["event.id"] for event in events(site.settings)}


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with sshd(tmp_path / "ssh") as found:
        yield found


def test_a_log_is_read_by_lines_as_it_grows_and_goes_on_after_the_collector_was_away(
    tmp_path: Path, drop: Path, server: Server
) -> None:
    write(drop / "auth.log", 1, 2)
    with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
        accepted(site, "linux", 2)
        with (drop / "auth.log").open("ab") as file:
            file.write(linux(3))
        looked_again(site, drop)
        assert site.counts("linux")[0] == 2
        write(drop / "auth.log", 4)
        accepted(site, "linux", 3)
    write(drop / "auth.log", 5)
    with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
        accepted(site, "linux", 4)
        assert len(ids(site)) == 4


def test_a_log_that_is_rotated_by_renaming_copying_or_compressing_is_read_once(
    tmp_path: Path, drop: Path, server: Server
) -> None:
    log = drop / "auth.log"
    write(log, 1, 2)
    with running(tmp_path / "data", source(server, f"{drop}/auth.log*")) as site:
        accepted(site, "linux", 2)
        write(log, 3)
        log.rename(drop / "auth.log.1")
        write(log, 1, 4)  # begins like the old one, and is as long and as old as it was
        accepted(site, "linux", 5)
        assert len(ids(site)) == 5
        (drop / "auth.log.1.gz").write_bytes(gzip.compress((drop / "auth.log.1").read_bytes() + linux(6)))
        (drop / "auth.log.1").unlink()
        accepted(site, "linux", 6)
        (drop / "auth.log.2").write_bytes(log.read_bytes())
        log.write_bytes(b"")
        write(log, 7)
        accepted(site, "linux", 7)
        looked_again(site, drop)
        accepted(site, "linux", 7)


def test_files_of_messages_are_read_whole_and_deleted_only_where_the_settings_say_so(
    tmp_path: Path, drop: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "DELETE_AFTER_S", 0)
    kept = tmp_path / "kept"
    kept.mkdir()
    for folder in (drop, kept):
        (folder / "a.hl7").write_bytes(HL7 % 1 + b"\r" + HL7 % 2)
    sources = [
        source(server, f"{drop}/*.hl7", "hl7v2", done="delete"),
        source(server, f"{kept}/*", "hl7v2"),
    ]
    with running(tmp_path / "data", *sources) as site:
        accepted(site, "hl7v2", 4)
        wait_until(lambda: not list(drop.iterdir()), what="file deleted")
        looked_again(site, kept)
        assert (kept / "a.hl7").exists()
        accepted(site, "hl7v2", 4)


def test_a_file_too_large_is_dead_lettered_once_and_the_others_are_read(
    tmp_path: Path, drop: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp, "MAX_WHOLE_BYTES", 2**20)
    (drop / "a.hl7").write_bytes(bytes(2**20 + 1))
    (drop / "b.hl7").write_bytes(HL7 % 1)
    with running(tmp_path / "data", source(server, f"{drop}/*", "hl7v2")) as site:
        accepted(site, "hl7v2", 2)
        looked_again(site, drop)
        (letter,) = dead_letters(site.settings)
    assert "more than 1048576 bytes" in letter["reason"]


def test_a_symbolic_link_is_not_followed(tmp_path: Path, drop: Path, server: Server) -> None:
    write(tmp_path / "secret", 1)
    (drop / "link.log").symlink_to(tmp_path / "secret")
    write(drop / "true.log", 2)
    with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
        accepted(site, "linux", 1)
        looked_again(site, drop)
        accepted(site, "linux", 1)


def test_a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    tmp_path: Path, drop: Path, server: Server
) -> None:
    write(drop / "auth.log", 1, 2)
    with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
        accepted(site, "linux", 2)
        server.kill()
        wait_until(lambda: "nothing listens there" in site.listeners[0].problem, what="a problem")
        write(drop / "auth.log", 3)
        start(server, tmp_path / "ssh")
        accepted(site, "linux", 3)
        assert site.listeners[0].problem == ""
        assert len(ids(site)) == 3


def test_a_server_with_another_key_is_refused_before_the_login(tmp_path: Path, drop: Path, server: Server) -> None:
    write(drop / "auth.log", 1)
    other = write_key(tmp_path / "other")
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other}\n", "utf-8")
    with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
        wait_until(lambda: "its key is not the one in known_hosts" in site.listeners[0].problem, what="a problem")
        server.known_hosts.write_text(f"elsewhere {other}\n", "utf-8")
        wait_until(lambda: "not found in known_hosts" in site.listeners[0].problem, what="a problem")
        assert site.counts("linux")[0] == 0
    assert "Accepted" not in (tmp_path / "ssh" / "log").read_text("utf-8")


def test_a_key_with_a_passphrase_opens_and_a_wrong_key_is_told(tmp_path: Path, drop: Path) -> None:
    write(drop / "auth.log", 1)
    with sshd(tmp_path / "ssh", passphrase="hush") as server:
        with running(tmp_path / "data", source(server, f"{drop}/*.log", password="hush")) as site:
            accepted(site, "linux", 1)
        write_key(server.key)
        with running(tmp_path / "data", source(server, f"{drop}/*.log")) as site:
            wait_until(lambda: "it refuses the login" in site.listeners[0].problem, what="a problem")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "sftp://host/folder/"}, "names no files"),
        ({"url": "sftp://host/*/a.log"}, "names no files"),
        ({"url": "ftp://host/a.log"}, "can't be used"),
        ({"url": "sftp://his:secret@host/a.log"}, "holds a user or password"),
        ({"known_hosts": None}, "the server's key is not known"),
    ],
)
def test_a_wrong_url_and_an_unknown_server_are_refused_at_start(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    write_key(tmp_path / "key")
    server = Server(22, tmp_path / "key", tmp_path / "key", "his")
    with pytest.raises(SettingsError, match=message) as refused, running(tmp_path, source(server, "/a.log", **change)):
        pass
    assert "secret" not in str(refused.value)


class Hostile(paramiko.SFTPServerInterface):
    """Lists names that are paths, a link, a folder, one that does not open, and one that is not as long as it says."""

    sizes: ClassVar = {
        "../evil.log": 5,
        "/etc/evil.log": 5,
        "x" * 256 + ".log": 5,
        "gone.log": 5,
        "good.log": 0,
        "lie.gz": 9,
    }

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes]:
        return [self._attributes(name) for name in self.sizes]

    def _attributes(self, name: str) -> paramiko.SFTPAttributes:
        found = paramiko.SFTPAttributes()
        found.filename, found.st_mode, found.st_mtime = name, stat.S_IFREG | 0o644, 0
        found.st_size = self.sizes[name] or len(linux(1)) + 1
        return found

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        opened.append(path)
        if path == "/good.log":
            return _Content(linux(1) + b"\n", len(linux(1)) + 1)
        return _Content(gzip.compress(linux(2)), 9) if path == "/lie.gz" else answers.SFTP_NO_SUCH_FILE


opened: list[str] = []


class _Content(paramiko.SFTPHandle):
    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self._data, self._size = data, size

    def read(self, offset: int, length: int) -> bytes | int:
        return self._data[offset : offset + length] or answers.SFTP_EOF

    def stat(self) -> paramiko.SFTPAttributes:
        found = paramiko.SFTPAttributes()
        found.st_size = self._size
        return found


def test_names_that_are_paths_are_never_opened_and_lies_are_told_beside_what_is_read(tmp_path: Path) -> None:
    opened.clear()
    with lying(tmp_path, Hostile) as server:
        found = source(server, "/*", key=None, password="right")
        with running(tmp_path / "data", found) as site:
            accepted(site, "linux", 1)
            wait_until(lambda: "gone.log: " in site.listeners[0].problem, what="a problem")
            Hostile.sizes = {"lie.gz": 9}
            lie = "lie.gz: it is not as long as the server says"
            wait_until(lambda: site.listeners[0].problem == lie, what="a lie")
    assert set(opened) == {"/good.log", "/gone.log", "/lie.gz"}


class Endless(Hostile):
    """Lists files for ever."""

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes]:
        return _Endless([self._attributes("good.log")] * 16)


class _Endless(list[paramiko.SFTPAttributes]):
    def __getitem__(self, index: Any) -> Any:
        return self


class Silent(paramiko.SFTPServerInterface):
    """Answers nothing to a request for a list."""

    def list_folder(self, path: str) -> int:
        ended.wait()
        return answers.SFTP_FAILURE


ended = threading.Event()


def test_a_list_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "MAX_FILES", 100)
    monkeypatch.setattr(Hostile, "sizes", {"good.log": 0})
    with lying(tmp_path, Endless) as server:
        endless = source(server, "/*", key=None, password="right")
        with running(tmp_path / "data", endless) as site:
            wait_until(lambda: "more than 100 files in" in site.listeners[0].problem, what="a problem")


def test_a_server_that_does_not_answer_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "ANSWER_S", 0.5)
    with lying(tmp_path, Silent) as server:
        try:
            with running(tmp_path / "data", source(server, "/*", key=None, password="right")) as site:
                wait_until(lambda: "no answer in time" in site.listeners[0].problem, what="a problem")
        finally:
            ended.set()


def test_check_lists_the_folder_and_says_what_is_wrong(tmp_path: Path, drop: Path, server: Server) -> None:
    write(drop / "auth.log", 1)
    right = source(server, f"{drop}/*.log")
    wrong = source(server, f"{tmp_path}/gone/*.log")
    (found, missing) = _checked(tmp_path, right, wrong)
    assert (found.state, found.message) == ("ok", f"1 files of {drop}")
    assert missing.state == "FAILS"
    assert "No such file" in missing.message
    assert missing.remedy


def _checked(tmp_path: Path, *sources: SourceSettings) -> list[Finding]:
    return [one for one in check(settings_of(tmp_path / "data", *sources)) if one.part.startswith("linux sftp")]
