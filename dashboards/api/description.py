"""What the API says of itself beside its operations: how one signs in, the errors, the headers of every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from dashboards.api.once import HEADER, REPLAYED
from dashboards.visitor import at_browser

_PROBLEMS: Final = {
    "400": "A value of the request is none that can be used; `detail` says which.",
    "401": "Nobody is signed in, or the token is revoked or expired.",
    "403": "The account or token may not do this, or a browser's change has no X-CSRF-Token.",
    "404": "There is no such thing in the hospitals of the account.",
    "405": "The path has no such method.",
    "409": "Somebody was faster: the state that the change names is no longer the present one. Read again.",
    "422": "A field is missing or wrong; `detail` names it.",
    "429": "The token asked too often; see Retry-After.",
    "503": "The store or the bus does not answer; nothing was changed. See Retry-After.",
}
_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "An error as RFC 9457 has it.",
    "required": ["type", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_ABOUT: Final = """Alerts, cases and their workflow for programs.

A program sends `Authorization: Bearer TOKEN`, a token made on the page *Account*; it does what its account and its
rights allow, in its hospitals. Lists are read page by page: pass `after` of an answer to get the next one. A change
names the `state` that it was decided on and is refused when that is no longer the present one. With an
`Idempotency-Key`, a change that was sent twice is made once. Errors are problems as in RFC 9457.
"""
_RATE: Final = {
    "RateLimit-Policy": {
        "description": "Requests a token may make in so many seconds (draft-ietf-httpapi-ratelimit-headers-10).",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "Requests that are left, and seconds until there are all again.",
        "schema": {"type": "string"},
    },
}
_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_REPLAY: Final = {
    REPLAYED: {"description": "true where this is the answer of an earlier request.", "schema": {"type": "string"}}
}


def describe(app: FastAPI) -> None:
    """Make the application describe its API with errors, headers and how one signs in."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
            app.openapi_schema = _described(schema)
            _tell_people_apart(app, app.openapi_schema)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    parts["schemas"]["Problem"] = _PROBLEM
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of the page *Account*."},
        "session": {"type": "apiKey", "in": "cookie", "name": "wardwatch_session", "description": "A browser's."},
    }
    schema["security"] = [{"token": []}, {"session": []}]
    for operations in schema["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return schema


def _tell_people_apart(app: FastAPI, schema: dict[str, Any]) -> None:
    """Say of what people alone may do that a token is refused."""
    for context in iter_route_contexts(app.routes):
        route, path = context.original_route, schema["paths"].get(context.path, {})
        if isinstance(route, APIRoute) and _asks_for(route.dependant, at_browser):
            for method in context.methods or ():
                path.get(method.lower(), {})["security"] = [{"session": []}]


def _asks_for(dependant: Dependant, call: Callable[..., Any]) -> bool:
    return dependant.call is call or any(_asks_for(each, call) for each in dependant.dependencies)


def _complete(operation: dict[str, Any]) -> None:
    once = any(each["name"] == HEADER for each in operation.get("parameters", []))
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            answer["headers"] = {**answer.get("headers", {}), **_RATE, **(_REPLAY if once else {})}
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, said in _PROBLEMS.items():
        headers = {"headers": _RETRY} if status in ("429", "503") else {}
        operation["responses"][status] = {"description": said, "content": content, **headers}
