"""A real OpenID provider of another maker: Glewlwyd (https://babelouest.github.io/glewlwyd), as Debian packages it."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until

_SCHEMA = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
_MODULES = Path("/usr/lib/glewlwyd")
_PASSWORD = "a passphrase of the provider"
_CONFIG = """
port={port}
external_url="{site}"
api_prefix="api"
static_files_path="{folder}"
log_mode="console"
log_level="ERROR"
cookie_domain="127.0.0.1"
cookie_secure=0
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
user_middleware_module_path="{folder}/none"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db" }};
"""


@dataclass(frozen=True)
class OpenId:
    """A running provider that knows one client."""

    issuer: str
    client_id: str
    client_secret: str
    site: str

    def add(self, name: str, groups: list[str]) -> None:
        """Add a person of these groups, who has agreed that the client reads their profile."""
        with self._signed_in("admin", "password") as admin:
            user = {"username": name, "name": f"Name of {name}", "password": _PASSWORD, "groups": groups}
            _ok(
                admin.post(
                    "/api/user/?source=database", json={**user, "enabled": True, "scope": ["g_profile", "openid"]}
                )
            )
        with self._signed_in(name, _PASSWORD) as person:
            _ok(person.put(f"/api/auth/grant/{self.client_id}", json={"scope": "openid"}))

    def agree(self, url: str, name: str) -> dict[str, str]:
        """Follow a request to authorise as somebody who is signed in, and return what the client is sent."""
        with self._signed_in(name, _PASSWORD) as person:
            answer = person.get(f"{url}&g_continue")  # what its sign-in page adds when the person goes on
        location = urlsplit(answer.headers["location"])
        return {key: values[0] for key, values in parse_qs(location.query).items()}

    @contextmanager
    def _signed_in(self, name: str, password: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.site, trust_env=False, timeout=30) as client:
            _ok(client.post("/api/auth/", json={"username": name, "password": password}))
            yield client


@contextmanager
def provider(folder: Path, redirect_url: str) -> Iterator[OpenId]:
    """Run a provider for one client with that redirect URL."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    found = OpenId(f"{site}/api/oidc", "console", "secret-of-the-client", site)
    executable = program("glewlwyd", "glewlwyd")
    config = folder / "glewlwyd.conf"
    (folder / "none").mkdir()
    config.write_text(_CONFIG.format(port=port, site=site, folder=folder, modules=_MODULES))
    schema = _SCHEMA.read_text().replace(
        '"data-format":{"picture"', '"data-format":{"groups":{"multiple":true,"read":true,"write":true},"picture"'
    )
    with closing(sqlite3.connect(folder / "glewlwyd.db")) as database:
        database.executescript(schema)
    process = subprocess.Popen([executable, "--config-file", str(config)])
    try:
        wait_until(lambda: _answers(site), what="provider")
        with found._signed_in("admin", "password") as admin:
            _ok(admin.post("/api/mod/plugin/", json=_plugin(found.issuer)))
            _ok(admin.post("/api/client/?source=database", json=_client(found, redirect_url)))
        yield found
    finally:
        process.terminate()
        process.wait()


def _plugin(issuer: str) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 2048)
    off = ("token", "none", "password", "client", "device", "id-token")
    return {
        "module": "oidc",
        "name": "oidc",
        "display_name": "OpenID Connect",
        "parameters": {
            "iss": issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "cert": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "access-token-duration": 3600,
            "refresh-token-duration": 3600,
            "code-duration": 60,
            "refresh-token-rolling": True,
            "allow-non-oidc": False,
            "auth-type-code-enabled": True,
            "auth-type-refresh-enabled": True,
            **{f"auth-type-{kind}-enabled": False for kind in off},
            "subject-type": "public",
            "scope": [{"name": "openid", "refresh-token-rolling": False}],
            "name-claim": "mandatory",
            "name-claim-scope": ["openid"],
            "claims": [
                {"name": "groups", "user-property": "groups", "type": "string", "mandatory": True, "scope": []},
                {"name": "login", "user-property": "username", "type": "string", "mandatory": True, "scope": []},
            ],
            "pkce-allowed": True,
            "pkce-method-plain-allowed": False,
            "pkce-required": True,
            "jwks-show": True,
        },
    }


def _client(found: OpenId, redirect_url: str) -> dict[str, Any]:
    return {
        "client_id": found.client_id,
        "name": "Console",
        "confidential": True,
        "enabled": True,
        "client_secret": found.client_secret,
        "redirect_uri": [redirect_url],
        "authorization_type": ["code"],
        "token_endpoint_auth_method": ["client_secret_basic"],
        "scope": ["openid"],
    }


def _answers(site: str) -> bool:
    try:
        return httpx.get(f"{site}/api/", trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def _ok(answer: httpx.Response) -> None:
    assert answer.status_code == 200, (str(answer.url), answer.status_code, answer.text)
