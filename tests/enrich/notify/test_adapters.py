"""The whole way on Kafka and Elasticsearch, the job run by one thread after another, as the scheduler's pool does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from enrich.jobs.notifications import Notifications
from tests.enrich.notify.servers import web
from wardwatch import topics
from wardwatch.alert import Finding, Severity, machine_alert, new_workflow, news
from wardwatch.bus import open_bus
from wardwatch.event import rfc3339
from wardwatch.outbound import Outbound
from wardwatch.settings import OutboundSettings
from wardwatch.store import AlertWrite, open_store
from wardwatch.tables import Tables
from wardwatch.testing.ports import wait_until


@pytest.mark.kafka
@pytest.mark.elasticsearch
def test_an_alert_is_told_once_over_kafka_and_elasticsearch(kafka: str, elasticsearch: str, tenant: str) -> None:
    bus, store = open_bus(kafka), open_store(elasticsearch)
    bus.ensure_topics(topics.shared())
    store.setup()
    now = datetime.now(UTC)
    identifier = f"{tenant}-{now:%Y%m}-{1:024x}"
    doc = machine_alert(
        Finding(
            id=identifier,
            tenant=tenant,
            organization=tenant,
            rule="failed_logins",
            severity=Severity.HIGH,
            title={"en": "Failed logins"},
            sentence={"en": "It happened."},
            response={"en": ""},
            group={"user.name": "tok"},
            priority_reasons=[],
            first_seen=rfc3339(now),
            last_seen=rfc3339(now),
        ),
        created=rfc3339(now),
    )
    tables = Tables(bus)
    with web() as server:
        tables.put("channels", tenant, "soc", {"kind": "slack", "url": f"{server.url}/{tenant}"})
        tables.put("routes", tenant, "all", {"to": ["channel:soc"]})
        tables.catch_up()
        store.alerts.write([AlertWrite(identifier, doc, workflow=new_workflow())])
        producer = bus.producer()
        for kind in ("created", "updated"):
            producer.send(topics.ALERTS.name, news(doc, kind), key=identifier, headers={"tenant": tenant})
        producer.flush()
        producer.close()
        outbound = Outbound(OutboundSettings(allow=(ip_network("127.0.0.1/32"),)))
        for _ in range(2):  # the second is a scheduler that starts anew
            job = Notifications(bus, store, tables, outbound, lambda: datetime.now(UTC))

            def tick(run: Notifications = job) -> bool:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(run).result()
                return bool(server.requests)

            wait_until(tick, timeout_s=60, what="the message")
            tick()
            job.close()
        assert [request.path for request in server.requests] == [f"/{tenant}"]
    tables.close()
    store.close()
    bus.close()
