"""A server that dies, freezes and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wardwatch.store.samples import EVERYBODY, alert, event, settle
from wardwatch.errors import SettingsError, StoreUnavailable
from wardwatch.store import Outcome, Result, open_store
from wardwatch.store.elasticsearch import client
from wardwatch.testing.elasticsearch import ElasticsearchServer

pytestmark = [pytest.mark.elasticsearch, pytest.mark.faults]


@pytest.fixture
def server(elasticsearch: str) -> Iterator[ElasticsearchServer]:
    """A server of its own, to be killed; where the session's one is given, this one may be impossible."""
    try:
        with ElasticsearchServer() as started:
            yield started
    except SettingsError as error:
        pytest.skip(f"no Elasticsearch of its own beside {elasticsearch}: {error}")


def test_what_was_answered_survives_a_kill_and_a_frozen_server_is_unavailable(
    server: ElasticsearchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(server.url)
    store.setup()
    write = alert("renai")
    assert store.alerts.write([write]) == [Result(Outcome.STORED)]
    server.kill()
    with pytest.raises(StoreUnavailable):
        store.events.write([event("renai", 1)])
    server.start()
    assert set(store.alerts.get(EVERYBODY, [write.id])) == {write.id}
    assert store.alerts.write([write]) == [Result(Outcome.CONFLICT)]
    monkeypatch.setattr(client, "TIMEOUT_S", 1.0)
    impatient = open_store(server.url)
    server.pause()
    for call in (impatient.ping, lambda: impatient.events.write([event("renai", 1)])):
        with pytest.raises(StoreUnavailable, match="timed out"):
            call()
    server.resume()
    impatient.close()
    # the frozen server may have taken the write whose answer never came: a repetition tells, and stores it once
    assert store.events.write([event("renai", 1)])[0].outcome in (Outcome.STORED, Outcome.ALREADY_THERE)
    settle(store)
    assert store.events.count("renai") == 1
    store.close()
