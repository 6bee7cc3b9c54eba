"""The hospital's own page for reveals: the same people, terms and records as ``wardwatch reveal``, in a browser.

There is no session: who asks gives the password with each request, and so does the second person beside. The page is
one form without script; nothing of an answer is stored by the browser or by us.
"""

from __future__ import annotations

import re
import socket
import threading
import tomllib
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ingest.collector import reveals_path, site_folder
from ingest.listeners import bind
from ingest.listeners.http import GuardedProtocol
from ingest.revealing import NEEDS_SECOND, SAME_PERSON, Asker, People, Request, Revealer
from ingest.vault import open_vault
from wardwatch.errors import Forbidden, NotFound, SettingsError, Unavailable
from wardwatch.headers import SecurityHeaders
from wardwatch.settings import Settings
from wardwatch.text import safe_text
from wardwatch.throttle import Throttle

LANGUAGES = ("zh", "en")
MAX_BODY_BYTES = 2**17
CONNECTIONS = 64
_HERE = Path(__file__).parent
_FIELDS = ("account", "password", "case", "reason", "tokens", "second", "second_password")
_SECRET = ("password", "second_password")
_STATUS = {"wrong": 403, "second": 403, "same": 403, "unknown": 404, "throttled": 429, "busy": 503}
_TEXTS = {lang: tomllib.loads((_HERE / f"{lang}.toml").read_text("utf-8")) for lang in LANGUAGES}
_STYLE = (_HERE / "reveal.css").read_text("utf-8")
_page = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined).get_template(
    "page.html"
)


@dataclass
class _Asked:
    """What came of one request: values by token, or the problem's name and, where it helps, its text."""

    values: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    detail: str = ""


class RevealPage:
    """Answers requests one at a time: each password costs 64 MiB of memory to compare."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = site_folder(settings)
        self._people = People(self._folder / "people.json")
        self._throttle = Throttle()
        self._one = threading.Lock()

    def app(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/", self._show),
            Route("/", self._reveal, methods=["POST"]),
            Route("/static/reveal.css", lambda _: Response(_STYLE, media_type="text/css")),
            Route("/favicon.ico", lambda _: Response(status_code=204)),
        ]
        return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])

    async def _show(self, request: HttpRequest) -> Response:
        return _render(_language(request), {}, _Asked())

    async def _reveal(self, request: HttpRequest) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return Response("another site's form\n", 403)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return Response("too much\n", 413)
        try:
            found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=len(_FIELDS))
        except ValueError:
            return Response("no form\n", 400)
        form = {name: found.get(name, [""])[0] for name in _FIELDS}
        address = request.client.host if request.client else ""
        asked = await run_in_threadpool(self._asked, form, address)
        return _render(_language(request), form, asked)

    def _asked(self, form: dict[str, str], address: str) -> _Asked:
        accounts = [form["account"].strip(), *([form["second"].strip()] if form["second"].strip() else [])]
        with self._one:
            if any(self._throttle.wait_s(account, address) for account in accounts):
                return _Asked(problem="throttled")
            asked = self._answered(accounts, form)
            for account in accounts:
                if asked.problem == "wrong":
                    self._throttle.failed(account, address)
                elif asked.values:
                    self._throttle.passed(account, address)
        return asked

    def _answered(self, accounts: list[str], form: dict[str, str]) -> _Asked:
        asker = Asker(accounts[0], form["password"])
        second = Asker(accounts[1], form["second_password"]) if len(accounts) > 1 else None
        tokens = list(dict.fromkeys(re.findall(r"[^\s,;]+", form["tokens"])))
        try:
            with closing(open_vault(self._settings.collector, self._folder)) as vault:
                revealer = Revealer(vault, self._people, reveals_path(self._folder))
                return _Asked(revealer.reveal(Request(tokens, form["case"], form["reason"], asker, second)))
        except Forbidden as error:
            return _Asked(problem={NEEDS_SECOND: "second", SAME_PERSON: "same"}.get(error.reason, "wrong"))
        except SettingsError as error:
            return _Asked(problem="refused", detail=error.reason)
        except NotFound:
            return _Asked(problem="unknown")
        except (Unavailable, OSError):
            return _Asked(problem="busy")


def _language(request: HttpRequest) -> str:
    """Return the language that was chosen, or the browser's first that we have."""
    wanted = [request.query_params.get("lang", ""), *request.headers.get("accept-language", "").split(",")]
    short = (each.strip()[:2].lower() for each in wanted)
    return next((each for each in short if each in LANGUAGES), LANGUAGES[0])


def _render(lang: str, form: dict[str, str], asked: _Asked) -> Response:
    kept = {name: form.get(name, "") for name in _FIELDS if name not in _SECRET}
    values = {token: safe_text(value) for token, value in asked.values.items()}
    shown: dict[str, Any] = {"lang": lang, "_": _TEXTS[lang], "form": kept, "values": values}
    page = _page.render(**shown, problem=asked.problem, detail=safe_text(asked.detail))
    return HTMLResponse(page, _STATUS.get(asked.problem, 400) if asked.problem else 200)


def serve(settings: Settings, listen: str, certificate: Path | None, key: Path | None) -> None:
    """Serve the page until SIGTERM or SIGINT; without a certificate on this machine's own addresses only.

    Raises SettingsError.
    """
    opened = bind(listen, "reveal", socket.SOCK_STREAM)
    with closing(opened):
        host = str(opened.getsockname()[0])
        if (certificate is None or key is None) and not host.startswith("127.") and host != "::1":
            remedy = "give --certificate and --key, or listen on 127.0.0.1"
            raise SettingsError(f"passwords would cross the network to {host} in clear", step="reveal", remedy=remedy)
        opened.listen(CONNECTIONS)
        config = uvicorn.Config(
            RevealPage(settings).app(),
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=3,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError, too
            raise SettingsError(f"certificate or key: {error.strerror or error}", step="reveal") from None
        uvicorn.Server(config).run([opened])
