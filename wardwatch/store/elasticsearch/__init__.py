"""The store in Elasticsearch 8 or 9, by its core features."""

from __future__ import annotations

from wardwatch.store import Alerts, Collection, Documents, Events
from wardwatch.store.elasticsearch.alerts import ElasticsearchAlerts
from wardwatch.store.elasticsearch.bulk import BulkWriter
from wardwatch.store.elasticsearch.client import answers, connect
from wardwatch.store.elasticsearch.documents import ElasticsearchDocuments
from wardwatch.store.elasticsearch.events import ElasticsearchEvents
from wardwatch.store.elasticsearch.templates import templates


class ElasticsearchStore:
    """Alerts in monthly, events in daily indices per tenant, collections in one index each.

    Raises SettingsError for a URL without host; connects at first use.
    """

    def __init__(self, url: str) -> None:
        self._client, self.url = connect(url)
        bulk = BulkWriter(self._client)
        self.alerts: Alerts = ElasticsearchAlerts(self._client, bulk)
        self.events: Events = ElasticsearchEvents(self._client, bulk)

    def documents(self, collection: Collection) -> Documents:
        """Return one of the small collections."""
        return ElasticsearchDocuments(self._client, collection)

    def setup(self) -> None:
        """Put the index templates; indices come with the first document."""
        with answers("index templates"):
            for name, template in templates().items():
                self._client.indices.put_index_template(name=name, body=template)

    def ping(self) -> None:
        """Return when the cluster answers with a state better than red."""
        with answers("cluster health"):
            self._client.cluster.health(wait_for_status="yellow", timeout="5s")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
