"""Who may reveal a token, what it takes, and that each attempt is an event like any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from ingest.parsers import Record, Site, parser
from ingest.reveal import reveal
from ingest.revealing import Asker, People, Request, Revealer
from ingest.vault import Vault, open_vault
from tests.ingest.running import events, running, settings_of
from wardwatch.errors import Forbidden, NotFound, SettingsError
from wardwatch.settings import CollectorSettings
from wardwatch.testing.ports import wait_until

LI, CHEN = Asker("li.na", "correct horse battery"), Asker("chen", "staple of another kind")
REASON = "which patient the alert is about"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault(tmp_path / "v", bytes(32))) as opened:
        opened.token("pt", "MR1")
        opened.token("pt", "MR2")
        opened.guard("pt", "MR2")
        opened.commit()
        yield opened


@pytest.fixture
def people(tmp_path: Path) -> People:
    found = People(tmp_path / "people.json")
    found.add(LI.account, "privacy-officer", LI.password)
    found.add(CHEN.account, "archivist", CHEN.password)
    return found


@pytest.fixture
def revealer(tmp_path: Path, vault: Vault, people: People) -> Revealer:
    return Revealer(vault, people, tmp_path / "reveals.ndjson")


def recorded(folder: Path) -> list[dict[str, object]]:
    """Return the events of the records on disk."""
    path = folder / "reveals.ndjson"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [one.doc for line in lines for one in parser("reveal").parse(Record(line), Site())]


def test_a_person_with_a_role_a_case_and_a_reason_learns_the_value_and_leaves_a_record(
    tmp_path: Path, vault: Vault, revealer: Revealer
) -> None:
    token = vault.token("pt", "MR1")
    assert revealer.reveal(Request([token], "INC-1", REASON, LI)) == {token: "MR1"}
    (record,) = recorded(tmp_path)
    assert (record["user.id"], record["user.roles"], record["event.reason"]) == ("li.na", ["privacy-officer"], REASON)
    assert (record["reveal.tokens"], record["event.outcome"]) == ([token], "success")
    assert "MR1" not in (tmp_path / "reveals.ndjson").read_text()


@pytest.mark.parametrize("asker", [Asker("li.na", "wrong"), Asker("nobody", LI.password), Asker("", "")])
def test_who_is_not_known_learns_nothing_and_leaves_a_record(
    tmp_path: Path, vault: Vault, revealer: Revealer, asker: Asker
) -> None:
    with pytest.raises(Forbidden):
        revealer.reveal(Request([vault.token("pt", "MR1")], "INC-1", REASON, asker))
    assert [record["event.outcome"] for record in recorded(tmp_path)] == ["failure"]


@pytest.mark.parametrize("second", [None, LI, Asker("chen", "wrong"), Asker("nobody", CHEN.password)])
def test_a_protected_person_is_not_revealed_by_one(
    tmp_path: Path, vault: Vault, revealer: Revealer, second: Asker | None
) -> None:
    tokens = [vault.token("pt", "MR1"), vault.token("pt", "MR2")]
    with pytest.raises(Forbidden):
        revealer.reveal(Request(tokens, "INC-1", REASON, LI, second))
    assert [record["event.outcome"] for record in recorded(tmp_path)] == ["failure"]


def test_two_people_together_reveal_a_protected_person(tmp_path: Path, vault: Vault, revealer: Revealer) -> None:
    token = vault.token("pt", "MR2")
    assert revealer.reveal(Request([token], "INC-1", REASON, LI, CHEN)) == {token: "MR2"}
    (record,) = recorded(tmp_path)
    assert (record["reveal.second_person"], record["reveal.guarded"]) == ("chen", True)


@pytest.mark.parametrize(("case", "reason"), [("", REASON), ("  ", REASON), ("INC-1", ""), ("INC-1", "because")])
def test_nothing_is_revealed_without_a_case_and_a_reason(
    tmp_path: Path, vault: Vault, revealer: Revealer, case: str, reason: str
) -> None:
    with pytest.raises(SettingsError):
        revealer.reveal(Request([vault.token("pt", "MR1")], case, reason, LI))


def test_a_reveal_that_cannot_be_recorded_gives_no_answer(tmp_path: Path, vault: Vault, people: People) -> None:
    with pytest.raises(OSError, match="directory"):
        Revealer(vault, people, tmp_path).reveal(Request([vault.token("pt", "MR1")], "INC-1", REASON, LI))


def test_a_person_taken_off_the_list_may_no_longer(people: People) -> None:
    assert people.role(LI.account, LI.password) == "privacy-officer"
    people.remove(LI.account)
    with pytest.raises(Forbidden):
        people.role(LI.account, LI.password)
    with pytest.raises(NotFound):
        people.remove(LI.account)


def test_a_reveal_by_command_reaches_the_bus_as_an_event_of_its_own_source(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = tmp_path / "collector" / "renai"
    with closing(open_vault(CollectorSettings(tenant="renai"), folder)) as vault:
        token = vault.token("pt", "MR1")
        vault.commit()
    config = tmp_path / "site.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n[collector]\ntenant = "renai"\n')

    def run(*arguments: str, typed: str) -> str:
        done = CliRunner().invoke(reveal, [*arguments, "--config", str(config)], input=f"{typed}\n")
        assert done.exit_code == 0, done.output
        return done.output

    assert "may reveal" in run("add", "li.na", "--role", "privacy-officer", typed=LI.password)
    assert run("people", typed="") == "li.na\tprivacy-officer\n"
    asked = run("tokens", token, "--as", "li.na", "--case", "INC-1", "--reason", REASON, typed=LI.password)
    assert asked == f"{token}\tMR1\n"
    with running(tmp_path) as site:
        wait_until(lambda: site.counts("reveal")[0] == 1 and site.settled())
    (event,) = events(settings)
    assert event["event.dataset"] == "wardwatch.reveal"
    assert event["user.id"].startswith("st_")
    assert event["reveal.tokens"] == [token]
    assert b"li.na" not in orjson.dumps(event)
