"""Errors as answers: a page for people, an RFC 9457 problem for the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from dashboards.accounts import Wrong
from dashboards.api.once import REPLAYED, Replayed
from dashboards.cases import case as cases
from dashboards.i18n import DEFAULT, known, word
from dashboards.i18n import reason as translated
from dashboards.pages.render import render
from dashboards.present import moment
from dashboards.visitor import SignInNeeded, TooMany, Visitor, console_of, lang_of, refused
from dashboards.workflow import Overtaken
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError, Unavailable, WardwatchError
from wardwatch.text import safe_text

log = structlog.get_logger()

_STATUS: dict[type[WardwatchError], int] = {
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    RecordError: 400,
    Unavailable: 503,
}
_RETRY_S = 5


def install(app: FastAPI) -> None:
    """Answer every error by its kind."""
    app.add_exception_handler(SignInNeeded, _sign_in)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(Replayed, _again)
    app.add_exception_handler(Wrong, _wrong)
    app.add_exception_handler(WardwatchError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _sign_in(request: Request, error: Exception) -> Response:
    if _is_api(request):
        return _answer(request, 401, "sign in first")
    target = f"/login?next={quote(_came_from(request))}"
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def _came_from(request: Request) -> str:
    """Return the page to go back to after sign-in: what was asked for, or where the form stood."""
    if request.method == "GET" and request.headers.get("HX-Request") != "true":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    page = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("referer", ""))
    if page.netloc != request.headers.get("host"):
        return "/"
    return page.path + (f"?{page.query}" if page.query else "")


def _too_many(request: Request, error: Exception) -> Response:
    wait_s = error.wait_s if isinstance(error, TooMany) else 0.0
    answer = _answer(request, 429, "asked too often: see Retry-After")
    answer.headers["Retry-After"] = str(int(wait_s) + 1)
    return answer


def _wrong(request: Request, error: Exception) -> Response:
    """Answer the API what is wrong with an account; pages say it beside each field."""
    fields = error.fields if isinstance(error, Wrong) else {}
    return _answer(request, 422, "; ".join(f"{name}: {word(DEFAULT, key)}" for name, key in fields.items()))


def _again(request: Request, error: Exception) -> Response:
    """Answer a change that was sent twice as it was answered first."""
    first = error if isinstance(error, Replayed) else Replayed(500, "")
    return Response(first.body, first.status, {REPLAYED: "true"}, media_type="application/json")


def _ours(request: Request, error: Exception) -> Response:
    status = next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 500)
    reason = error.reason if isinstance(error, WardwatchError) else ""
    if status in (403, 404):
        if status == 403:
            refused(request, reason)
        reason = reason if _is_api(request) else ""  # the page says it in the visitor's language
    elif isinstance(error, Overtaken) and not _is_api(request):
        lang = request.state.visitor.lang
        status_word = known(lang, f"status.{error.status}", error.status)
        reason = word(lang, "problem.now", status=status_word, assignee=error.assignee or "—")
    elif isinstance(error, cases.Overtaken) and not _is_api(request):
        zone = console_of(request).hospitals.get(error.tenant).zone
        reason = word(request.state.visitor.lang, "problem.case_now", by=error.by, time=moment(error.at, zone).text)
    elif status >= 500:
        log.error("page_failed", path=request.url.path, reason=str(error))
        reason = ""
    elif not _is_api(request):
        reason = translated(_lang(request), reason)
    return _answer(request, status, reason)


def _invalid(request: Request, error: Exception) -> Response:
    items = error.errors() if isinstance(error, RequestValidationError) else []
    lang = DEFAULT if _is_api(request) else _lang(request)
    return _answer(request, 422, "; ".join(wrong_field(lang, item) for item in items)[:300])


def wrong_field(lang: str, item: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, of an item of pydantic's errors."""
    name, kind = str(item["loc"][-1]), str(item["type"])
    template = known(lang, f"invalid.{kind}", "")
    said = template.format(**item.get("ctx", {})) if template else str(item["msg"])
    return f"{known(lang, f'field.{name}', name)}: {said}"


def _lang(request: Request) -> str:
    seen: Visitor | None = getattr(request.state, "visitor", None)
    return seen.lang if seen else lang_of(request)


def _http(request: Request, error: Exception) -> Response:
    return _answer(request, error.status_code if isinstance(error, HTTPException) else 500, "")


def _answer(request: Request, status: int, reason: str) -> Response:
    headers = {"Retry-After": str(_RETRY_S)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if _is_api(request):
        if turn := getattr(request.state, "turn", None):
            headers |= turn.headers
        problem = {"type": "about:blank", "status": status, "detail": safe_text(reason)}
        return JSONResponse(problem, status, headers, media_type="application/problem+json")
    template = "_problem.html" if request.headers.get("HX-Request") == "true" else "problem.html"
    target = request.headers.get("HX-Target", "")
    stays = request.method != "GET" and target in ("case", "panel")
    page = render(
        request,
        template,
        status=status,
        code=status,
        reason=safe_text(reason),
        again_s=_RETRY_S if status == 503 and request.method == "GET" else 0,
        target=target if target in ("panel", "tab") else "",
        back="" if request.method == "GET" or stays else _came_from(request),
    )
    if stays:  # what was typed stays in its form
        headers |= {"HX-Retarget": f"#{target}-problem", "HX-Reselect": ".problem", "HX-Reswap": "innerHTML"}
    page.headers.update(headers)
    return page


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")
