"""The vault over the years: epochs, back-up and restore, a change of its key, crashes in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest import vault_care
from ingest.vault import Epochs, HmacTokens, Vault, key_path, load_key, next_key, open_vault, vault_path
from ingest.vault_care import restore, rotate_key, vault
from wardwatch.errors import DecodeError, SettingsError
from wardwatch.settings import CollectorSettings

KEY = bytes(range(32))
SETTINGS = CollectorSettings(tenant="renai")


class Calendar:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def monthly(tmp_path: Path, calendar: Calendar) -> Iterator[Vault]:
    with closing(Vault(tmp_path / "v", KEY, Epochs("month", calendar))) as opened:
        yield opened


def test_a_patients_token_is_another_one_in_the_next_month_and_the_hospital_knows_both(
    monthly: Vault, calendar: Calendar
) -> None:
    january = monthly.token("pt", "MR1")
    assert monthly.token("pt", "MR1") == january
    calendar.now = datetime(2026, 2, 1, tzinfo=UTC)
    february = monthly.token("pt", "MR1")
    assert february != january
    monthly.commit()
    assert monthly.same(january) == monthly.same(february) == {"2026-01": january, "2026-02": february}
    assert monthly.reveal(january) == monthly.reveal(february) == "MR1"


def test_a_person_on_the_staff_keeps_one_token(monthly: Vault, calendar: Calendar) -> None:
    before = monthly.token("st", "li.na")
    calendar.now = datetime(2027, 2, 1, tzinfo=UTC)
    assert monthly.token("st", "li.na") == before


def test_keyed_hashes_have_epochs_too(calendar: Calendar) -> None:
    hashes = HmacTokens(KEY, Epochs("year", calendar))
    before = hashes.token("pt", "MR1"), hashes.token("st", "li.na")
    calendar.now = datetime(2026, 12, 31, tzinfo=UTC)
    assert (hashes.token("pt", "MR1"), hashes.token("st", "li.na")) == before
    calendar.now = datetime(2027, 1, 1, tzinfo=UTC)
    assert hashes.token("pt", "MR1") != before[0]
    assert hashes.token("st", "li.na") == before[1]


def test_a_person_who_was_guarded_once_is_guarded_in_every_month(monthly: Vault, calendar: Calendar) -> None:
    january, other = monthly.token("pt", "MR1"), monthly.token("pt", "MR2")
    calendar.now = datetime(2026, 2, 1, tzinfo=UTC)
    february = monthly.token("pt", "MR1")
    monthly.guard("pt", "MR1")
    monthly.commit()
    assert [monthly.is_guarded(token) for token in (january, february, other)] == [True, True, False]


@pytest.fixture
def filled(tmp_path: Path) -> dict[str, str]:
    """Fill the vault of a site's folder and return its tokens by value."""
    with closing(open_vault(SETTINGS, tmp_path)) as opened:
        tokens = {f"MR{number}": opened.token("pt", f"MR{number}") for number in range(50)}
        opened.guard("pt", "MR7")
        opened.commit()
    return tokens


def _still(folder: Path, tokens: dict[str, str]) -> bool:
    with closing(open_vault(SETTINGS, folder)) as opened:
        kept = all(opened.token("pt", value) == token for value, token in tokens.items())
        revealed = all(opened.reveal(token) == value for value, token in tokens.items())
        return kept and revealed and opened.is_guarded(tokens["MR7"])


def test_a_new_key_keeps_every_token_and_the_old_key_opens_nothing(tmp_path: Path, filled: dict[str, str]) -> None:
    old = load_key(key_path(SETTINGS, tmp_path))
    rotate_key(SETTINGS, tmp_path)
    assert load_key(key_path(SETTINGS, tmp_path)) != old
    with pytest.raises(SettingsError, match="does not open"):
        Vault(vault_path(tmp_path), old)
    assert _still(tmp_path, filled)


@pytest.mark.parametrize("done", [False, True])
def test_a_change_of_the_key_that_a_crash_cut_short_loses_nothing(
    tmp_path: Path, filled: dict[str, str], monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    if done:  # the vault has the new key, the file not yet
        monkeypatch.setattr(Path, "replace", crash)
    else:  # every row is sealed anew, nothing is written
        monkeypatch.setattr(Vault, "_again", crash)
    with pytest.raises(KeyboardInterrupt):
        rotate_key(SETTINGS, tmp_path)
    monkeypatch.undo()
    assert next_key(key_path(SETTINGS, tmp_path)).exists()
    assert _still(tmp_path, filled)
    rotate_key(SETTINGS, tmp_path)
    assert _still(tmp_path, filled)


def test_a_vault_that_was_lost_comes_back_from_its_back_up(tmp_path: Path, filled: dict[str, str]) -> None:
    backup = tmp_path / "copy"
    with closing(open_vault(SETTINGS, tmp_path)) as opened:
        opened.back_up(backup)
    assert backup.stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match="exists"):
        restore(backup, SETTINGS, tmp_path)
    for path in tmp_path.glob("vault.sqlite*"):
        path.unlink()
    assert restore(backup, SETTINGS, tmp_path) == 50
    assert _still(tmp_path, filled)


def test_a_damaged_back_up_is_refused_and_puts_nothing_in_place(tmp_path: Path, filled: dict[str, str]) -> None:
    backup = tmp_path / "copy"
    with closing(open_vault(SETTINGS, tmp_path)) as opened:
        opened._database.execute("UPDATE tokens SET sealed = zeroblob(40) WHERE token = ?", (filled["MR3"],))
        opened.back_up(backup)
    for path in tmp_path.glob("vault.sqlite*"):
        path.unlink()
    with pytest.raises(DecodeError, match=filled["MR3"]):
        restore(backup, SETTINGS, tmp_path)
    assert not vault_path(tmp_path).exists()


def test_the_commands_check_back_up_change_the_key_and_restore(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[collector]\ntenant = "renai"\n')
    folder = tmp_path / "collector" / "renai"
    with closing(open_vault(SETTINGS, folder)) as opened:
        token = opened.token("pt", "MR1")
        opened.commit()

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(vault, [*arguments, "--config", str(config)])
        assert done.exit_code == 0, done.output
        return done.output

    assert run("check") == "1 tokens, all of them open\n"
    assert "new key" in run("change-key")
    assert "written" in run("back-up", str(tmp_path / "copy"))
    for path in folder.glob("vault.sqlite*"):
        path.unlink()
    assert "1 tokens restored" in run("restore", str(tmp_path / "copy"))
    with closing(open_vault(SETTINGS, folder)) as opened:
        assert opened.reveal(token) == "MR1"


def test_a_site_of_keyed_hashes_has_no_vault(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[collector]\ntenant = "renai"\ntokens = "hmac"\n')
    with pytest.raises(SettingsError, match="keyed hashes"):
        vault_care.check(config)
