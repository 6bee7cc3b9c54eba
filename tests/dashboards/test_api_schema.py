"""Requests that schemathesis makes up from the API's own description, right and wrong ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Err
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from dashboards.app import create
from dashboards.auth.people import Right, Role
from dashboards.console import Console
from dashboards.visitor import CSRF_HEADER, SESSION_COOKIE
from tests.dashboards.site import KeptTables, seed, serving
from wardwatch.settings import ConsoleSettings
from wardwatch.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.ignored_auth,
    checks.use_after_free,
    checks.ensure_resource_availability,
]


def console_at(folder: Path | str) -> Console:
    settings = ConsoleSettings(secure_cookies=False, token_rate=1_000_000)
    return Console(settings, open_store(f"sqlite:///{folder}/store.sqlite"), KeptTables())


@cache
def operations() -> dict[str, Any]:
    """Return the operations of the API by method and path; nothing is opened to read them."""
    schema = schemathesis.openapi.from_dict(create(console_at("/nowhere")).openapi(), config=SchemathesisConfig())
    found = [each.ok() for each in schema.get_all_operations() if not isinstance(each, Err)]
    return {operation.label: operation for operation in found}


class Api(NamedTuple):
    """Where a console is served, and what a program and a browser send."""

    address: str
    token: dict[str, Any]
    session: dict[str, Any]


@cache
def peoples() -> set[str]:
    """Return the operations that a browser's session alone may ask for, as the description says."""
    paths = create(console_at("/nowhere")).openapi()["paths"]
    alone: list[dict[str, list[str]]] = [{"session": []}]
    return {
        f"{method.upper()} {path}"
        for path in paths
        for method, each in paths[path].items()
        if each.get("security") == alone
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The address of a console, and the headers of one who may do everything: a token's and a session's."""
    console = console_at(tmp_path_factory.mktemp("api"))
    seed(console.store)
    console.people.change("lin", lambda lin: replace(lin, roles=frozenset({Role.ADMIN, Role.ANALYST})))
    token, _ = console.tokens.add("lin", "schema", frozenset(Right), None, 1)
    opened = console.sessions.open("lin")
    session = console.sessions.get(opened)
    assert session
    console.feed.close()  # so that streams end at once
    with serving(console) as address:
        browser = {"cookies": {SESSION_COOKIE: opened}, "headers": {CSRF_HEADER: session.csrf}}
        yield Api(address, {"headers": {"Authorization": f"Bearer {token}"}}, browser)
    console.close()
    console.store.close()


def test_every_operation_of_the_description_is_asked() -> None:
    described = create(console_at("/nowhere")).openapi()["paths"]
    assert set(operations()) == {f"{method.upper()} {path}" for path, each in described.items() for method in each}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("label", sorted(operations()))
def test_every_answer_to_a_right_or_wrong_request_is_one_that_the_description_has(
    label: str, mode: GenerationMode, api: Api
) -> None:
    @settings(max_examples=EXAMPLES, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    @given(operations()[label].as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        by_cookie = api.session if SESSION_COOKIE in (case.cookies or {}) else {}
        own = by_cookie if label in peoples() else api.token
        answer = case.call(base_url=api.address, **own)
        case.validate_response(answer, checks=CHECKS)

    asked()
