from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import vault as vault_module
from ingest.vault import HmacTokens, Vault, load_key, open_tokens
from wardwatch.errors import DecodeError, NotFound, SettingsError, Unavailable
from wardwatch.settings import CollectorSettings

KEY = bytes(range(32))
SECRET = "MR204871"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault(tmp_path / "vault.sqlite", KEY)) as opened:
        yield opened


def test_a_value_keeps_its_token_after_a_restart(tmp_path: Path) -> None:
    with closing(Vault(tmp_path / "v", KEY)) as before:
        token = before.token("pt", SECRET)
        before.commit()
    with closing(Vault(tmp_path / "v", KEY)) as after:
        assert after.token("pt", SECRET) == token
        assert after.reveal(token) == SECRET


def test_a_token_is_its_kind_and_96_random_bits(tmp_path: Path, vault: Vault) -> None:
    token = vault.token("pt", SECRET)
    assert token.startswith("pt_")
    assert len(bytes.fromhex(token[3:])) == 12
    with closing(Vault(tmp_path / "other", KEY)) as other:
        assert other.token("pt", SECRET) != token


def test_one_value_has_different_tokens_as_patient_and_as_staff(vault: Vault) -> None:
    assert vault.token("pt", "1001")[3:] != vault.token("st", "1001")[3:]


def test_a_token_that_was_not_committed_is_forgotten(tmp_path: Path) -> None:
    with closing(Vault(tmp_path / "v", KEY)) as before:
        lost = before.token("pt", SECRET)
    with closing(Vault(tmp_path / "v", KEY)) as after:
        assert after.token("pt", SECRET) != lost
        with pytest.raises(NotFound):
            after.reveal(lost)


def test_a_committed_token_survives_the_death_of_its_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from ingest.vault import Vault; "
        "vault = Vault(Path(sys.argv[1]), bytes(range(32))); print(vault.token('pt', 'MR204871'), flush=True); "
        "vault.commit(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "v"], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    with closing(Vault(tmp_path / "v", KEY)) as after:
        assert after.token("pt", SECRET) == done.stdout.strip()


def test_a_second_process_may_reveal_while_the_first_writes(tmp_path: Path, vault: Vault) -> None:
    token = vault.token("pt", SECRET)
    with closing(Vault(tmp_path / "vault.sqlite", KEY)) as reader:
        with pytest.raises(NotFound):
            reader.reveal(token)
        vault.commit()
        assert reader.reveal(token) == SECRET


def test_the_file_holds_no_value_in_the_clear(tmp_path: Path, vault: Vault) -> None:
    vault.token("pt", "李晓梅 110101199003070038")
    vault.commit()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"110101199003070038" not in content
    assert "李晓梅".encode() not in content
    assert (tmp_path / "vault.sqlite").stat().st_mode & 0o077 == 0


def test_another_key_is_refused_with_a_remedy(tmp_path: Path) -> None:
    Vault(tmp_path / "v", KEY).close()
    with pytest.raises(SettingsError, match="restore the key"):
        Vault(tmp_path / "v", bytes(32))


def test_a_changed_row_is_noticed(tmp_path: Path, vault: Vault) -> None:
    token = vault.token("pt", SECRET)
    vault.commit()
    with closing(sqlite3.connect(tmp_path / "vault.sqlite")) as database, database:
        database.execute("UPDATE tokens SET sealed = zeroblob(length(sealed))")
    with pytest.raises(DecodeError, match="changed"):
        vault.reveal(token)


def test_a_locked_file_is_unavailable_and_the_tokens_wait(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = vault.token("pt", SECRET)
    vault._database.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "vault.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            vault.commit()
        other.execute("ROLLBACK")
    vault.commit()
    assert vault.reveal(token) == SECRET


def test_threads_agree_on_the_token_of_a_value(vault: Vault) -> None:
    seen: list[list[str]] = []

    def work() -> None:
        mine = [vault.token("pt", f"MR{number}") for number in range(200)]
        vault.commit()
        seen.append(mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(tokens == seen[0] for tokens in seen)
    assert [vault.reveal(token) for token in seen[0]] == [f"MR{number}" for number in range(200)]


def test_tokens_beyond_the_cache_stay_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "CACHED", 3)
    with closing(Vault(tmp_path / "v", KEY)) as vault:
        values = [*map(str, range(10)), "long" * 100]
        first = [vault.token("en", value) for value in values]
        assert [vault.token("en", value) for value in values] == first
        assert vault._remembered.cache_info().currsize == 3
        vault.commit()
        assert [vault.token("en", value) for value in values] == first


@pytest.mark.parametrize("written", [" ZhangSan", "zhangsan", "ＺＨＡＮＧＳＡＮ"])
def test_an_account_has_one_token_however_it_is_typed(vault: Vault, written: str) -> None:
    assert vault.token("st", written) == vault.token("st", "ZHANGSAN")


def test_identifiers_of_patients_keep_their_case(vault: Vault) -> None:
    assert vault.token("pt", "a1") != vault.token("pt", "A1")


@given(st.text(), st.text())
def test_keyed_hashes_are_equal_only_for_equal_values(one: str, other: str) -> None:
    tokens = HmacTokens(KEY)
    same = vault_module._normal("pt", one) == vault_module._normal("pt", other)
    assert (tokens.token("pt", one) == tokens.token("pt", other)) == same


def test_keyed_hashes_depend_on_the_key() -> None:
    assert HmacTokens(KEY).token("pt", SECRET) != HmacTokens(bytes(32)).token("pt", SECRET)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token.key"
    key = load_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path) == key


def test_a_key_open_to_others_is_refused_with_the_command_that_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    path.write_bytes(KEY)
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_key(path)


def test_a_key_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    path.write_bytes(KEY[:16])
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="16 bytes"):
        load_key(path)


def test_a_key_in_an_unusable_place_is_refused_naming_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="token_key"):
        load_key(tmp_path / "file" / "token.key")


def test_the_settings_choose_between_vault_and_hashes(tmp_path: Path) -> None:
    vault = open_tokens(CollectorSettings(), tmp_path)
    assert isinstance(vault, Vault)
    vault.close()
    hashes = open_tokens(CollectorSettings(tokens="hmac", token_key=tmp_path / "own.key"), tmp_path)
    assert isinstance(hashes, HmacTokens)
    assert (tmp_path / "own.key").exists()
