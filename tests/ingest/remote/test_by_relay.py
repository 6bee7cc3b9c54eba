"""Through a relay a collector gets its own hospital's configuration, and no other's."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from ingest.remote import signed
from tests.ingest.relay.running import Provider
from tests.ingest.remote.running import http, toml
from wardwatch.bus import open_bus
from wardwatch.tables import Tables
from wardwatch.testing.ports import free_port, wait_until
from wardwatch.topics import TABLES

pytestmark = pytest.mark.kafka


def test_a_collector_is_configured_through_its_relay_which_gives_no_row_of_others(kafka: str, tmp_path: Path) -> None:
    provider, tenant, port = Provider(tmp_path, kafka), "t" + uuid4().hex[:12], free_port()
    public = signed.make_key(tmp_path / "signing.key")
    row = signed.signed(signed.private_key(tmp_path / "signing.key"), tenant, 1, toml(http(port, zone="UTC")))
    bus = open_bus(kafka)
    bus.ensure_topics([TABLES])
    tables = Tables(bus)
    tables.put(signed.TABLE, tenant, signed.KEY, msgspec.to_builtins(row))
    tables.close()
    bus.close()
    collector = provider.collector(tenant, port)
    collector.environment = dict(collector.environment) | {
        "WARDWATCH_COLLECTOR__CONFIGURED_BY": str(public),
        "WARDWATCH_COLLECTOR__TRIAL_S": "0.3",
    }
    with provider.relay() as relay:
        wait_until(relay.ready, what="relay")
        with provider.client(tenant) as own, provider.client("zhongxin") as other:
            assert own.get("/v1/config").json() == {"row": msgspec.to_builtins(row)}
            assert other.get("/v1/config").json() == {"row": None}
        with collector:
            wait_until(lambda: collector.parts().get("configuration", {}).get("version") == 1, what="applied")
