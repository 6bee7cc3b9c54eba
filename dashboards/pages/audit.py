"""The audit trail as a page and as a download."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from dashboards import audit
from dashboards.api.once import ApiRoute
from dashboards.auth.people import Right
from dashboards.console import Console
from dashboards.pages.render import framed
from dashboards.present import moment
from dashboards.visitor import Signed, TheConsole, Visitor, address_of
from wardwatch.errors import RecordError
from wardwatch.store import Find
from wardwatch.text import safe_json, safe_text

router = APIRouter()
download = APIRouter(tags=["audit"], route_class=ApiRoute)
PAGE = 50
Word = Annotated[str, Query(max_length=300)]
_KINDS = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


def auditor(seen: Signed) -> Visitor:
    """Return who asks; raises Forbidden unless they may read the audit trail."""
    seen.person.demand(Right.AUDIT, "audit")
    return seen


Auditor = Annotated[Visitor, Depends(auditor)]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the URL says; "" is no filter. ``start`` and ``end`` are days, both of them included."""

    actor: str = ""
    action: str = ""
    tenant: str = ""
    start: str = ""
    end: str = ""
    after: str = ""

    def url(self, **changes: str) -> str:
        """Return the query string with some values changed; the first page unless ``after`` is among them."""
        changed = replace(self, **{"after": "", **changes})
        return "?" + urlencode({name: value for name, value in asdict(changed).items() if value})

    def find(self, console: Console, seen: Visitor) -> Find:
        """Return the search, within the visitor's hospitals; raises RecordError for a day that is none."""
        zone = console.hospitals.zone(seen.person.scope, self.tenant)
        fields = {name: getattr(self, name) for name in ("actor", "action", "tenant") if getattr(self, name)}
        try:
            start = datetime.fromisoformat(self.start).replace(tzinfo=zone) if self.start else None
            end = datetime.fromisoformat(self.end).replace(tzinfo=zone) + timedelta(days=1) if self.end else None
        except (ValueError, OverflowError):
            raise RecordError("a day is written 2026-03-31", step="audit") from None
        found = Find(fields=fields, start=start, end=end, after=self.after or None, limit=PAGE)
        return audit.seen_by(seen.person.scope, found)


def wanted(
    actor: Word = "", action: Word = "", tenant: Word = "", start: Word = "", end: Word = "", after: Word = ""
) -> AuditFilter:
    """Return the filter in the URL."""
    return AuditFilter(actor.strip(), action.strip(), tenant, start, end, after)


Wanted = Annotated[AuditFilter, Depends(wanted)]


@router.get("/audit")
def show(request: Request, console: TheConsole, seen: Auditor, chosen: Wanted) -> Response:
    """Show one page of the audit trail, newest first."""
    page = console.store.documents("audit").find(chosen.find(console, seen))
    rows = [_row(console, seen, item.doc) for item in page.items]
    return framed(request, console, seen, "audit.html", rows=rows, page=page, chosen=chosen)


@download.get("/audit/{kind}", response_class=StreamingResponse)
def export(
    request: Request, console: TheConsole, seen: Auditor, chosen: Wanted, kind: Literal["ndjson", "csv"]
) -> StreamingResponse:
    """Return every record that the filter finds, as lines of JSON or as CSV."""
    find = chosen.find(console, seen)
    audit.record(console.store, seen.person.name, "export", what="audit", kind=kind, address=address_of(request))
    found = audit.entries(console.store, find)
    body = audit.as_ndjson(found) if kind == "ndjson" else audit.as_csv(found)
    headers = {"Content-Disposition": f'attachment; filename="audit.{kind}"'}
    return StreamingResponse(body, media_type=_KINDS[kind], headers=headers)


def _row(console: Console, seen: Visitor, doc: dict[str, Any]) -> dict[str, Any]:
    tenant, alerts = doc.get("tenant"), doc.get("alert", [])
    hospital = console.hospitals.get(tenant) if isinstance(tenant, str) else None
    text = orjson.dumps(audit.details(doc), option=orjson.OPT_INDENT_2).decode()
    alerts = [alerts] if isinstance(alerts, str) else alerts
    return {
        "seq": doc.get("seq", ""),
        "when": moment(doc["at"], console.hospitals.zone(seen.person.scope, tenant or "")),
        "actor": safe_text(str(doc.get("actor", ""))),
        "action": safe_text(str(doc.get("action", ""))),
        "hospital": hospital,
        "alerts": alerts,
        "case": safe_text(str(doc.get("case", ""))),
        "user": safe_text(str(doc.get("user", ""))),
        "address": safe_text(str(doc.get("address", ""))),
        "details": safe_json(text),
    }
