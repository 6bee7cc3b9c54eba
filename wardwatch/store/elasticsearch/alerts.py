"""Alerts in Elasticsearch: one document with two owners.

Detection replaces the document except the workflow in it, people update the workflow; each only what nobody else
changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from wardwatch.alert import WORKFLOW, AlertDocument, parse_alert_id
from wardwatch.errors import Conflict, NotFound, RecordError, StoreUnavailable
from wardwatch.event import encode
from wardwatch.store import (
    AlertQuery,
    AlertSort,
    AlertWrite,
    CountBy,
    Outcome,
    Page,
    Result,
    Scope,
    Stored,
    WorkflowChange,
)
from wardwatch.store.cursor import decode_cursor, page_size
from wardwatch.store.elasticsearch.bulk import Answer, BulkWriter, Item
from wardwatch.store.elasticsearch.client import answers, split_version
from wardwatch.store.elasticsearch.partitions import drop_before, tenant_of_index
from wardwatch.store.elasticsearch.search import (
    Clause,
    nothing,
    one_of,
    page,
    phrases,
    search,
    time_range,
)
from wardwatch.store.elasticsearch.templates import ALERTS, ENTITIES, TEXT
from wardwatch.store.reading import (
    alert_keys,
    check_workflow,
    detection_part,
    severity_name,
    severity_numbers,
    terms,
    visible,
)

_CREATED = {"event.created": {"order": "desc"}}
_ID = {"event.id": {"order": "asc"}}
_NEVER_MS = 253_402_300_799_000  # the end of the year 9999
_DUE: list[dict[str, Any]] = [
    {"wardwatch.alert.due_at": {"order": "asc", "missing": _NEVER_MS, "unmapped_type": "date"}},
    {"event.created": {"order": "asc"}},
    _ID,
]
_SORT: dict[str, list[dict[str, Any]]] = {
    "newest": [_CREATED, _ID],
    "priority": [
        {"wardwatch.alert.priority": {"order": "desc", "missing": 0}},
        *_DUE,
    ],
    "due": _DUE,
}
_KINDS: dict[str, tuple[type, ...]] = {
    "newest": (int, str),
    "priority": (float, int, int, str),
    "due": (int, int, str),
}
_FIELD = {
    "severity": "event.severity",
    "status": "wardwatch.alert.status",
    "tenant": "_index",
    "rule": "rule.id",
    "verdict": "wardwatch.alert.verdict",
    "series": "wardwatch.alert.continues",
    "assignee": "wardwatch.alert.assignee",
}
_VALUES = 10_000  # of one field that are counted
_DETECTION = Scope("detection")
_NAMED = 30  # hospitals whose indices are named in an address, which has at most 4 KB


class ElasticsearchAlerts:
    """Alerts of all tenants; a version is ``seq_no/primary_term``."""

    def __init__(self, client: Elasticsearch, bulk: BulkWriter) -> None:
        self._client = client
        self._bulk = bulk

    def write(self, writes: Sequence[AlertWrite]) -> list[Result]:
        """Write detection's part of the alerts, each by itself."""
        results: dict[int, Result] = {}
        items: dict[int, Item] = {}
        stored = self.get(_DETECTION, [write.id for write in writes if write.version is not None])
        for place, write in enumerate(writes):
            try:
                items[place] = _item(write, stored.get(write.id))
            except RecordError as error:
                results[place] = Result(Outcome.REJECTED, error.reason)
            except Conflict:
                results[place] = Result(Outcome.CONFLICT)
        for place, answer in zip(items, self._bulk.write(list(items.values())), strict=True):
            results[place] = _result(answer)
        return [results[place] for place in range(len(writes))]

    def get(self, scope: Scope, ids: Iterable[str]) -> dict[str, Stored]:
        """Return the alerts that exist and are in scope, from their indices in real time."""
        wanted = [{"_index": index, "_id": name} for name in dict.fromkeys(ids) if (index := _readable(scope, name))]
        if not wanted:
            return {}
        with answers("alerts"):
            response = self._client.mget(docs=wanted)
        return {hit["_id"]: _stored(hit) for hit in response["docs"] if _exists(hit)}

    def search(
        self, scope: Scope, query: AlertQuery, *, sort: AlertSort = "newest", after: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of alerts by key."""
        key = decode_cursor(after, _KINDS[sort]) if after is not None else None
        answer = search(
            self._client,
            "alerts",
            index=_indices(scope, [query]),
            query={"bool": {"filter": _filter(scope, query)}},
            sort=_SORT[sort],
            search_after=key,
            size=page_size(limit) + 1,
            seq_no_primary_term=True,
        )
        return page(answer, page_size(limit), _stored)

    def count(self, scope: Scope, query: AlertQuery, by: CountBy) -> dict[str, int]:
        """Return how many alerts match, by the values of one field; alerts without a value are not counted."""
        answer = search(
            self._client,
            "alerts",
            index=_indices(scope, [query]),
            query={"bool": {"filter": _filter(scope, query)}},
            aggs={"by": {"terms": {"field": _FIELD[by], "size": _VALUES}}},
            size=0,
        )
        counts: dict[str, int] = {}
        for bucket in answer.get("aggregations", {}).get("by", {}).get("buckets", []):
            name = _named(by, bucket["key"])
            counts[name] = counts.get(name, 0) + bucket["doc_count"]
        return counts

    def totals(self, scope: Scope, queries: Sequence[AlertQuery]) -> list[int]:
        """Return how many alerts match each query."""
        if not queries:
            return []
        each = [{"bool": {"filter": _filter(scope, query)}} for query in queries]
        answer = search(
            self._client,
            "alerts",
            index=_indices(scope, queries),
            aggs={"each": {"filters": {"filters": each}}},
            size=0,
        )
        buckets = answer.get("aggregations", {}).get("each", {}).get("buckets", [])
        return [bucket["doc_count"] for bucket in buckets] or [0] * len(queries)

    def workflow(self, scope: Scope, identifier: str, changes: Mapping[str, Any], *, version: str) -> Stored:
        """Change workflow fields of an alert that nobody changed since ``version`` was read."""
        check_workflow(changes)
        encode(dict(changes))
        scope.check(parse_alert_id(identifier)[0], f"alert {identifier!r}")
        if identifier not in self.get(scope, [identifier]):
            raise NotFound(f"no alert {identifier!r}", step="store")
        with answers(f"alert {identifier}"):
            response = self._client.update(
                index=_index(identifier),
                id=identifier,
                doc={"wardwatch": {"alert": dict(changes)}},
                detect_noop=False,
                refresh=True,
                source=True,
                **split_version(version),
            )
        return _stored({**response.body, "_source": response["get"]["_source"]})

    def workflows(self, scope: Scope, changes: Sequence[WorkflowChange]) -> list[Result]:
        """Change many alerts in one request, each by itself.

        Each is written whole, as it was read with its changes: that costs the server half of what an update does,
        which reads the document first.
        """
        results = [Result(Outcome.CONFLICT)] * len(changes)
        items: dict[int, Item] = {}
        for place, each in enumerate(changes):
            check_workflow(each.changes)
            index = _readable(scope, each.id)
            if index:
                items[place] = Item("index", index, each.id, _changed(each), split_version(each.alert.version))
        for place, answer in zip(items, self._bulk.write(list(items.values())), strict=True):
            results[place] = _result(answer)
        if items:
            with answers("alerts"):
                self._client.indices.refresh(index=sorted({item.index for item in items.values()}))
        return results

    def expire(self, tenant: str, before: datetime) -> int:
        """Delete whole months before the moment."""
        return drop_before(self._client, ALERTS, tenant, f"{before.astimezone(UTC):%Y.%m}")


def _index(identifier: str) -> str:
    tenant, month = parse_alert_id(identifier)
    return f"{ALERTS}{tenant}-{month[:4]}.{month[4:]}"


def _indices(scope: Scope, queries: Iterable[AlertQuery]) -> str:
    """Return the indices that can hold what is asked for: those of a few hospitals, else all; no query relies on it."""
    asked = [visible(scope, query.tenants) for query in queries]
    tenants = {tenant for each in asked for tenant in each or ()}
    if None in asked or not 0 < len(tenants) <= _NAMED:
        return f"{ALERTS}*"
    return ",".join(f"{ALERTS}{tenant}-*" for tenant in sorted(tenants))


def _readable(scope: Scope, identifier: str) -> str | None:
    try:
        allowed = scope.allows(parse_alert_id(identifier)[0])
        return _index(identifier) if allowed else None
    except NotFound:
        return None


def _item(write: AlertWrite, stored: Stored | None) -> Item:
    body = encode(_document(write, _workflow(write, stored)))
    if write.version is None:
        return Item("create", _index(write.id), write.id, body)
    return Item("index", _index(write.id), write.id, body, split_version(write.version))


def _changed(change: WorkflowChange) -> bytes:
    """Return an alert with its changes as JSON; raises RecordError for a change that is none."""
    encode(dict(change.changes))  # the rest was checked when it was written
    return orjson.dumps(_document(AlertWrite(change.id, change.alert.doc), change.workflow))


def _document(write: AlertWrite, workflow: Mapping[str, Any]) -> AlertDocument:
    keys, detection = alert_keys(write), detection_part(write.doc)
    own = detection["wardwatch"]
    search = {"text": keys.text, "entities": sorted(keys.entities)}
    return {**detection, "wardwatch": {**own, "search": search, "alert": {**own["alert"], **workflow}}}


def _workflow(write: AlertWrite, stored: Stored | None) -> dict[str, Any]:
    if write.version is None:
        return dict(write.workflow)
    if stored is None or stored.version != write.version:
        raise Conflict(f"alert {write.id} was changed meanwhile", step="store")
    own = stored.doc["wardwatch"]["alert"]
    return {name: own[name] for name in WORKFLOW & own.keys()}


def _result(answer: Answer) -> Result:
    if answer.status in (200, 201):
        return Result(Outcome.STORED)
    if answer.status in (404, 409):
        return Result(Outcome.CONFLICT)
    return Result(Outcome.REJECTED, f"{answer.kind}: {answer.reason}")


def _stored(hit: Mapping[str, Any]) -> Stored:
    doc = hit["_source"]
    own = doc["wardwatch"]
    own.pop("search", None)
    own["alert"] = {k: v for k, v in own["alert"].items() if not (k in WORKFLOW and v is None)}
    return Stored(doc, f"{hit['_seq_no']}/{hit['_primary_term']}")


def _exists(hit: Mapping[str, Any]) -> bool:
    kind = hit.get("error", {}).get("type", "index_not_found_exception")
    if kind != "index_not_found_exception":
        raise StoreUnavailable(f"alert {hit['_id']}: {kind}", step="store")
    return bool(hit.get("found"))


def _named(by: str, value: Any) -> str:
    if by == "severity":
        return severity_name(value)
    return tenant_of_index(ALERTS, value) if by == "tenant" else str(value)


def _filter(scope: Scope, query: AlertQuery) -> list[Clause]:
    clauses: list[Clause] = []
    tenants = visible(scope, query.tenants)
    if tenants is not None:
        held = [{"prefix": {"_index": f"{ALERTS}{tenant}-"}} for tenant in sorted(tenants)]
        clauses.append({"bool": {"should": held}} if held else nothing())
    clauses += one_of("wardwatch.alert.status", query.statuses)
    clauses += one_of("event.severity", severity_numbers(query.severities))
    clauses += one_of("wardwatch.alert.verdict", query.verdicts)
    clauses += one_of("rule.id", query.rules)
    clauses += one_of(ENTITIES, {query.entity} if query.entity else ())
    if query.assignee:
        clauses.append({"term": {"wardwatch.alert.assignee": query.assignee}})
    elif query.assignee is not None:
        nobody = {"bool": {"must_not": {"exists": {"field": "wardwatch.alert.assignee"}}}}
        clauses.append({"bool": {"should": [nobody, {"term": {"wardwatch.alert.assignee": ""}}]}})
    if query.text.strip():
        clauses += phrases(TEXT, terms(query.text))
    clauses += time_range("event.created", query.created_from, query.created_to)
    clauses += time_range("wardwatch.alert.due_at", None, query.due_before)
    if query.untold:
        clauses.append({"bool": {"must_not": one_of("wardwatch.alert.sla_state", query.untold)}})
    clauses += one_of("wardwatch.alert.asset_criticality", query.criticalities)
    clauses += one_of(_FIELD["series"], query.series)
    if query.heads:
        clauses.append({"bool": {"must_not": {"exists": {"field": _FIELD["series"]}}}})
    if query.case:
        clauses.append({"term": {"wardwatch.alert.case_id": query.case}})
    return clauses + time_range("wardwatch.alert.closed_at", query.closed_from, None)
