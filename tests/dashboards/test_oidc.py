"""Sign-in with a real OpenID provider; forged ID tokens come from one that the test signs itself."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dashboards.app import create, server_of
from dashboards.auth.oidc import Provider
from dashboards.auth.people import Role
from dashboards.console import Console
from tests.dashboards.openid import OpenId, provider
from tests.dashboards.site import KeptTables, seed, sign_in
from wardwatch.errors import Forbidden, Unavailable
from wardwatch.settings import ConsoleSettings, OidcSettings
from wardwatch.store import Find, Store, open_store
from wardwatch.testing.ports import free_port, wait_until

ROLES: dict[str, Any] = {"soc-analysts": "analyst", "soc-leads": "lead"}
HOSPITALS = {"renai-staff": ["renai"], "provider": ["*"]}


@dataclass
class Place:
    """A console that knows a provider, and the provider."""

    console: Console
    openid: OpenId
    client: httpx.Client

    def begin(self, after: str = "/") -> str:
        """Press the provider's button and return where it leads."""
        return str(self.client.get("/oidc", params={"next": after}).headers["location"])

    def sign_in(self, name: str, after: str = "/") -> httpx.Response:
        """Sign in as somebody whom the provider knows."""
        return self.client.get("/oidc/callback", params=self.openid.agree(self.begin(after), name))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("oidc")
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    seed(store)
    listen = f"127.0.0.1:{free_port()}"
    redirect_url = f"http://{listen}/oidc/callback"
    with ExitStack() as stack:
        openid = stack.enter_context(provider(folder, redirect_url))
        settings = OidcSettings(
            issuer=openid.issuer,
            client_id=openid.client_id,
            client_secret=openid.client_secret,
            redirect_url=redirect_url,
            label="Hospital SSO",
            scopes="openid",
            name_claim="login",
            roles=ROLES,
            tenants=HOSPITALS,
        )
        console = Console(ConsoleSettings(secure_cookies=False, oidc=settings), store, KeptTables())
        server = server_of(create(console), listen)
        thread = Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started, what="console")
        client = stack.enter_context(httpx.Client(base_url=f"http://{listen}", trust_env=False, timeout=30))
        yield Place(console, openid, client)
        console.feed.close()
        server.should_exit = True
        thread.join()
    store.close()


@pytest.fixture(autouse=True)
def signed_out(request: pytest.FixtureRequest) -> None:
    if "place" in request.fixturenames:
        request.getfixturevalue("place").client.cookies.clear()


def actions(store: Store, **fields: str | bool) -> list[str]:
    return [item.doc["action"] for item in store.documents("audit").find(Find(fields=fields)).items]


def test_somebody_whom_the_provider_knows_signs_in_with_the_roles_and_hospitals_of_the_groups(place: Place) -> None:
    place.openid.add("chen", ["soc-analysts", "renai-staff", "canteen"])
    assert 'href="/oidc?next=/">Sign in with Hospital SSO</a>' in place.client.get("/login").text
    answer = place.sign_in("chen", "/?tenant=renai")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tenant=renai")
    me = place.client.get("/api/v1/me").json()
    assert (me["name"], me["display"], me["roles"], me["tenants"]) == ("chen", "Name of chen", ["analyst"], ["renai"])
    assert actions(place.console.store, actor="chen") == ["sign_in"]


def test_the_groups_of_the_last_sign_in_count(place: Place) -> None:
    place.openid.add("feng", ["soc-analysts", "renai-staff"])
    place.sign_in("feng")
    people = place.console.people
    people.change("feng", lambda feng: replace(feng, roles=frozenset({Role.ADMIN}), tenants=None))
    place.sign_in("feng")
    assert (people.get("feng").roles, people.get("feng").tenants) == (frozenset({Role.ANALYST}), frozenset({"renai"}))


@pytest.mark.parametrize("groups", [[], ["canteen"], ["soc-analysts"], ["renai-staff"]])
def test_who_has_no_role_or_no_hospital_is_refused(groups: list[str], place: Place) -> None:
    name = f"none{'-'.join(groups)}"
    place.openid.add(name, groups)
    assert place.sign_in(name).status_code == 403
    assert place.client.get("/").status_code == 303
    assert name not in {person.name for person in place.console.people.every()}


def test_a_local_account_is_not_taken_over_by_its_name(place: Place) -> None:
    place.openid.add("lin", ["soc-leads", "provider"])
    assert place.sign_in("lin").status_code == 403
    assert place.console.people.get("lin").roles == {Role.ANALYST}
    assert sign_in(place.client, "lin").status_code == 303


def test_an_account_of_the_provider_has_no_password_and_is_refused_once_disabled(place: Place) -> None:
    place.openid.add("he", ["soc-leads", "provider"])
    assert place.sign_in("he").status_code == 303
    place.client.cookies.clear()
    assert sign_in(place.client, "he", "").status_code in (401, 422)
    place.console.people.disable("he")
    assert place.sign_in("he").status_code == 403


def test_an_answer_is_taken_once_by_the_browser_that_asked(place: Place) -> None:
    place.openid.add("ma", ["soc-leads", "provider"])
    answer = place.openid.agree(place.begin(), "ma")
    cookies = dict(place.client.cookies)
    place.client.cookies.clear()
    assert place.client.get("/oidc/callback", params=answer).status_code == 403  # another browser
    place.client.cookies.update(cookies)
    assert place.client.get("/oidc/callback", params=answer).status_code == 303
    place.client.cookies.clear()
    place.client.cookies.update(cookies)
    assert place.client.get("/oidc/callback", params=answer).status_code == 403  # again


def test_a_foreign_state_is_refused_and_audited(place: Place) -> None:
    place.openid.add("xu", ["soc-leads", "provider"])
    answer = place.openid.agree(place.begin(), "xu") | {"state": "foreign"}
    assert place.client.get("/oidc/callback", params=answer).status_code == 403
    assert "denied" in actions(place.console.store, path="/oidc/callback")


def test_a_code_without_its_verifier_is_worth_nothing(place: Place) -> None:
    place.openid.add("hu", ["soc-leads", "provider"])
    stolen = place.openid.agree(place.begin(), "hu")["code"]
    mine = place.begin()
    answer = {"code": stolen, "state": parse_qs(urlsplit(mine).query)["state"][0]}
    assert place.client.get("/oidc/callback", params=answer).status_code == 403


def test_what_leads_to_another_site_leads_home(place: Place) -> None:
    place.openid.add("guo", ["soc-leads", "provider"])
    assert place.sign_in("guo", "https://evil.example/").headers["location"] == "/"


KEY, FOREIGN = (RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2))


class Forger:
    """A provider that answers whatever claims and signature a test wants."""

    def __init__(self) -> None:
        self.claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(
            {"alg": "RS256", "kid": "one"}, claims, KEY
        )
        self.nonce = ""
        forger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys = {"keys": [KEY.as_dict(private=False)]}
                self._send(keys if self.path == "/jwks" else forger.metadata)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._send({"id_token": forger.token()})

            def _send(self, answer: dict[str, Any]) -> None:
                body = orjson.dumps(answer)
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "1",
            "aud": "console",
            "iat": now,
            "exp": now + 60,
            "nonce": self.nonce,
            "preferred_username": "tang",
            "groups": ["soc-leads", "provider"],
        }
        return self.sign(self.claims(claims))


@pytest.fixture
def forger() -> Iterator[Forger]:
    forger = Forger()
    thread = Thread(target=forger.server.serve_forever, args=(0.05,))
    thread.start()
    yield forger
    forger.server.shutdown()
    forger.server.server_close()
    thread.join()


def provider_of(forger: Forger, store: Store) -> Provider:
    """Return the console's side of the forger."""
    url = "http://console/oidc/callback"
    settings = OidcSettings(issuer=forger.issuer, client_id="console", redirect_url=url, roles=ROLES, tenants=HOSPITALS)
    return Provider(settings, store)


def arriving(forger: Forger, store: Store) -> str:
    """Sign in at the forger's and return the account's name."""
    provider = provider_of(forger, store)
    going = provider.depart("/")
    asked = parse_qs(urlsplit(going.url).query)
    forger.nonce = asked["nonce"][0]
    return provider.arrive(going.cookie, asked["state"][0], "code")[0].name


def unsigned(claims: dict[str, Any]) -> str:
    signed = jwt.encode({"alg": "RS256"}, claims, KEY).split(".")
    return f"eyJhbGciOiJub25lIn0.{signed[1]}."


def by_public_key(claims: dict[str, Any]) -> str:
    """Sign by HMAC with the public key as the secret (RFC 8725, 2.1)."""
    head, body = (urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in ({"alg": "HS256"}, claims))
    signature = hmac.digest(KEY.as_pem(private=False), head + b"." + body, "sha256")
    return b".".join((head, body, urlsafe_b64encode(signature).rstrip(b"="))).decode()


FORGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "another client": lambda claims: {**claims, "aud": "other"},
    "several clients": lambda claims: {**claims, "aud": ["console", "other"]},
    "another party": lambda claims: {**claims, "azp": "other"},
    "expired": lambda claims: {**claims, "exp": int(time.time()) - 3600},
    "replayed": lambda claims: {**claims, "nonce": "of an older sign-in"},
    "without nonce": lambda claims: {name: value for name, value in claims.items() if name != "nonce"},
    "without subject": lambda claims: {name: value for name, value in claims.items() if name != "sub"},
    "a name that is none": lambda claims: {**claims, "preferred_username": "../lin"},
    "groups that are none": lambda claims: {**claims, "groups": {"soc-leads": 1}},
    "a number of groups": lambda claims: {**claims, "groups": 7},
}
SIGNED: dict[str, Callable[[dict[str, Any]], str]] = {
    "unsigned": unsigned,
    "by a foreign key": lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, FOREIGN),
    "by the public key": by_public_key,
    "garbled": lambda _: "x.y.z",
}


def test_the_forger_is_believed_when_it_does_not_forge(forger: Forger, store: Store) -> None:
    assert arriving(forger, store) == "tang"


def test_a_sign_in_that_was_finished_is_over_whatever_the_provider_says(forger: Forger, store: Store) -> None:
    provider = provider_of(forger, store)
    going = provider.depart("/")
    asked = parse_qs(urlsplit(going.url).query)
    forger.nonce = asked["nonce"][0]
    provider.arrive(going.cookie, asked["state"][0], "code")
    with pytest.raises(Forbidden, match="no sign-in was begun"):
        provider.arrive(going.cookie, asked["state"][0], "code")


@pytest.mark.parametrize("forged", FORGED)
def test_an_id_token_that_does_not_fit_is_refused(forged: str, forger: Forger, store: Store) -> None:
    forger.claims = FORGED[forged]
    with pytest.raises(Forbidden):
        arriving(forger, store)


@pytest.mark.parametrize("signed", SIGNED)
def test_an_id_token_that_the_provider_did_not_sign_is_refused(signed: str, forger: Forger, store: Store) -> None:
    forger.sign = SIGNED[signed]
    with pytest.raises(Forbidden, match="can't be trusted"):
        arriving(forger, store)


def test_a_provider_that_calls_itself_otherwise_or_is_absent_is_unavailable(forger: Forger, store: Store) -> None:
    forger.metadata["issuer"] = "https://evil.example"
    with pytest.raises(Unavailable, match="not 'http"):
        arriving(forger, store)
    forger.issuer = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match="does not answer"):
        arriving(forger, store)
