"""Indices of one tenant and period: ``<prefix><tenant>-<period>``, where a period sorts as text."""

from __future__ import annotations

from elasticsearch import Elasticsearch

from wardwatch.store.elasticsearch.client import answers
from wardwatch.store.elasticsearch.search import total
from wardwatch.topics import check_tenant


def tenant_of_index(prefix: str, index: str) -> str:
    """Return the tenant whose documents the index holds."""
    return index.removeprefix(prefix).rpartition("-")[0]


def drop_before(client: Elasticsearch, prefix: str, tenant: str, period: str) -> int:
    """Delete the tenant's indices of earlier periods and return how many documents they held."""
    with answers(f"indices of {check_tenant(tenant)}"):
        found = client.indices.get(index=f"{prefix}{tenant}-*", features="aliases")
        old = [index for index in found.body if index.rpartition("-")[2] < period]
        if not old:
            return 0
        client.indices.refresh(index=old)
        gone = total(client, "indices", ",".join(old))
        client.indices.delete(index=old)
    return gone
