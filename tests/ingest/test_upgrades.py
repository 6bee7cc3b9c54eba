"""State written by another version: an older one's is read, a newer one's is refused clearly (and left alone)."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import wardwatch
from ingest.checks import check
from ingest.cli_collector import collector
from ingest.collector import own_folder, site_folder
from ingest.quarantine import Quarantine
from ingest.upgrades import FORMAT, NOTES, Note, between
from ingest.vault import open_vault
from tests.ingest.running import dead_letters, events, running, settings_of
from wardwatch.errors import SettingsError
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

LINUX = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")
FIXTURES = Path(__file__).parent / "fixtures"


def say(folder: Path, version: str, number: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.json"
    path.write_text(json.dumps({"version": version, "format": number}))
    return path


def upgrade(folder: Path) -> tuple[int, str]:
    config = folder / "site.toml"
    config.write_text(f'data_dir = "{folder}"\n[collector]\ntenant = "renai"\n')
    done = CliRunner().invoke(collector, ["upgrade", "--config", str(config)])
    return done.exit_code, done.output


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_the_state_of_every_earlier_format_is_read_and_nothing_in_it_is_lost(tmp_path: Path, number: int) -> None:
    folder = site_folder(settings_of(tmp_path))
    shutil.copytree(FIXTURES / f"state-{number}", folder)
    (folder / "token.key").chmod(0o600)
    log = tmp_path / "auth.log"
    log.touch()
    with running(tmp_path, SourceSettings(parser="linux", transport="file", path=str(log))) as site:
        assert site.counts("linux")[0] == 3
        wait_until(site.settled, what="what was spooled is on the bus")
        assert site.counts("linux") == (3, 2, 0, 1)
        (letter,) = dead_letters(site.settings)
        with closing(Quarantine(folder / "quarantine.sqlite")) as quarantine:
            assert quarantine.get(letter["position"]).record.data == b"nonsense"
        (message,) = (event for event in events(site.settings) if event["event.dataset"] == "hl7.v2")
        with closing(open_vault(site.settings.collector, folder)) as vault:
            assert vault.reveal(message["hospital.patient.id_token"]) == "9988"
    assert len(events(site.settings)) == 3


def test_a_folder_says_which_version_writes_it(tmp_path: Path) -> None:
    with own_folder(settings_of(tmp_path)) as folder:
        assert json.loads((folder / "state.json").read_text()) == {"version": wardwatch.__version__, "format": FORMAT}


def test_a_newer_format_is_refused_by_version_and_left_as_it_is(tmp_path: Path) -> None:
    path = say(site_folder(settings_of(tmp_path)), "9.1.0", FORMAT + 1)
    before = path.read_bytes()
    written = r"written by wardwatch 9\.1\.0 in state format"
    with pytest.raises(SettingsError, match=written) as caught, own_folder(settings_of(tmp_path)):
        pass
    assert "install 9.1.0 again" in caught.value.remedy
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir() if each.name not in ("lock", "state.json")] == []
    (finding,) = (each for each in check(settings_of(tmp_path, LINUX)) if each.part == "state")
    assert (finding.state, "9.1.0" in finding.message) == ("FAILS", True)
    code, shown = upgrade(tmp_path)
    assert code == 1
    assert "written by 9.1.0, format" in shown


def test_the_same_format_of_another_version_is_taken_over_in_both_directions(tmp_path: Path) -> None:
    for version in ("0.0.9", "9.0.0"):
        path = say(site_folder(settings_of(tmp_path)), version, FORMAT)
        with own_folder(settings_of(tmp_path)):
            assert json.loads(path.read_text())["version"] == wardwatch.__version__


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    say(site_folder(settings_of(tmp_path)), "1", 1).write_text("{")
    with pytest.raises(SettingsError, match=r"state\.json can't be read"), own_folder(settings_of(tmp_path)):
        pass


def test_the_notes_are_those_after_the_version_that_wrote_the_folder() -> None:
    notes = [Note(version, 1, "") for version in ("0.1.0", "0.2.0", "0.10.0")]
    assert [note.version for note in between("0.1.0", notes)] == ["0.2.0", "0.10.0"]
    assert [note.version for note in between("0.2.0", notes)] == ["0.10.0"]
    assert between("0.10.0", notes) == []


def test_the_command_tells_versions_notes_and_the_way_back(tmp_path: Path) -> None:
    say(site_folder(settings_of(tmp_path)), "0.0.9", FORMAT)
    code, shown = upgrade(tmp_path)
    assert code == 0
    assert "written by 0.0.9" in shown
    assert NOTES[-1].text in shown
    assert "The format is the same" in shown


def test_there_is_a_note_of_this_version_and_the_page_has_them_all() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs/operator/upgrade.md").read_text("utf-8").split())
    assert NOTES[-1].version == wardwatch.__version__
    assert NOTES[-1].format == FORMAT
    for note in NOTES:
        assert note.version in page
        assert note.text in page
