from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from dashboards.auth.people import People, Role
from dashboards.cli import users
from wardwatch.passwords import verify
from wardwatch.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    yield store
    store.close()


def call(*arguments: str, password: str = "a long passphrase") -> tuple[int, str]:
    result = CliRunner().invoke(users, list(arguments), input=password + "\n")
    return result.exit_code, f"{result.output}{result.exception or ''}"


def test_an_account_is_added_listed_given_a_password_and_disabled(empty: Store) -> None:
    assert call("add", "lin", "--role", "analyst", "--tenant", "renai")[0] == 0
    person = People(empty).get("lin")
    assert (person.roles, person.tenants) == (frozenset({Role.ANALYST}), frozenset({"renai"}))
    assert verify(person.password_hash, "a long passphrase")
    assert "lin" in call("list")[1]
    assert call("password", "lin", password="another passphrase")[0] == 0
    assert verify(People(empty).get("lin").password_hash, "another passphrase")
    assert call("disable", "lin")[0] == 0
    assert People(empty).get("lin").disabled


def test_an_account_is_not_overwritten_unless_asked(empty: Store) -> None:
    call("add", "lin", "--role", "analyst")
    assert call("add", "lin", "--role", "admin")[0] == 1
    assert People(empty).get("lin").roles == {Role.ANALYST}
    assert call("add", "lin", "--role", "admin", "--replace")[0] == 0
    assert People(empty).get("lin").roles == {Role.ADMIN}


@pytest.mark.parametrize(("name", "password"), [("Lin Mei", "a long passphrase"), ("lin", "short"), ("../x", "x" * 20)])
def test_a_bad_name_or_password_is_refused_with_the_reason(name: str, password: str, empty: Store) -> None:
    code, text = call("add", name, "--role", "viewer", password=password)
    assert code == 1
    assert "1 to 64" in text or "10 to 200" in text
