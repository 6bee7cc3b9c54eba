"""The settings file of a new site: sources as they are named on a command line become commented TOML."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, SecretStr

from ingest.catalogue import transports
from ingest.listeners import split_address
from ingest.parsers import MAPPED, PARSERS, parser
from ingest.pollers.kafka import place_of as topics_of
from ingest.pollers.sql import asked
from ingest.pollers.sql.databases import DATABASES, place_of
from wardwatch.errors import SettingsError
from wardwatch.settings import TRANSPORTS, CollectorSettings, Settings, SourceSettings

_FORM = "PARSER=TRANSPORT://PLACE, such as hl7v2=mllp://0.0.0.0:2575 or oracle_unified=oracle://soc@his-db:1521/HIS"
_SECURE = {"tls": "tls", "mllps": "mllp", "https": "http", "kafkas": "kafka"}
"""How a transport that needs a certificate is named in the form above."""
_TOKEN_BYTES = 24
_ADDRESSED: dict[str, Literal["sftp", "s3", "mqtt"]] = {"sftp": "sftp", "s3": "s3", "mqtt": "mqtt", "mqtts": "mqtt"}


@dataclass(frozen=True, slots=True)
class Site:
    """What a settings file says; ``bus`` may be "" for the embedded one."""

    tenant: str
    zone: str
    bus: str
    data_dir: Path
    sources: Sequence[SourceSettings]


@dataclass(frozen=True, slots=True)
class Files:
    """Files that sources name: certificate and key of TLS or SSH, a user's password, and the keys of SSH servers."""

    certificate: Path | None = None
    key: Path | None = None
    password: Path | None = None
    known_hosts: Path | None = None


def source_from(text: str, files: Files = Files()) -> SourceSettings:
    """Return the source of ``PARSER=TRANSPORT://PLACE``, where a database's or Kafka's URL stands as it is.

    HTTP gets a random token, SNMP a random community. Raises SettingsError.
    """
    name, _, how = text.partition("=")
    scheme, separator, place = how.partition("://")
    if not separator or not place:
        raise SettingsError(f"{text!r} is no source", step="init", remedy=_FORM)
    transport = "sql" if scheme in DATABASES else _ADDRESSED.get(scheme, _SECURE.get(scheme, scheme))
    _check_transport(name, transport)
    if transport == "sql":
        return _database(name, how, files)
    if transport == "kafka":
        topics = _addressed(name, "kafka", how, files)
        topics_of(topics)
        return topics
    if scheme in _ADDRESSED:
        return _addressed(name, _ADDRESSED[scheme], how, files)
    if transport == "file":
        return SourceSettings(parser=name, transport="file", path=place)
    listen, _, path = place.partition("/")
    split_address(listen, name)
    values: dict[str, object] = {"parser": name, "transport": transport, "listen": listen}
    if scheme in _SECURE:
        if not files.certificate or not files.key:
            raise SettingsError("TLS needs a certificate", step="init", record=name, remedy="--certificate and --key")
        values |= {"certificate": files.certificate, "key": files.key}
    token = SecretStr(secrets.token_urlsafe(_TOKEN_BYTES))
    if transport == "snmp":
        values |= {"community": token}
    if transport == "http":
        values |= {"path": f"/{path or name}", "token": token}
    return SourceSettings.model_validate(values)


def _database(name: str, url: str, files: Files) -> SourceSettings:
    """Return a source of rows; ``user@`` of the URL becomes its user."""
    login, plain = _login(name, url, files)
    if login and not files.password:
        raise SettingsError("the user needs a password", step="init", record=name, remedy=_NAME_A_FILE)
    source = SourceSettings.model_validate({"parser": name, "transport": "sql", "url": plain, **login})
    asked(source, parser(name), place_of(source).scheme)
    return source


def _addressed(name: str, transport: Literal["sftp", "s3", "mqtt", "kafka"], url: str, files: Files) -> SourceSettings:
    """Return a source of files, objects or messages; what it lacks, ``collector check`` names."""
    login, plain = _login(name, url, files)
    given = {"certificate": files.certificate, "key": files.key, "known_hosts": files.known_hosts}
    fitting = {key: value for key, value in given.items() if value and key in TRANSPORTS[transport]}
    return SourceSettings.model_validate({"parser": name, "transport": transport, "url": plain, **login, **fitting})


def _login(name: str, url: str, files: Files) -> tuple[dict[str, object], str]:
    """Return user and file of the password of a URL's ``user@``, and the URL without it; raises SettingsError."""
    scheme, _, behind = url.partition("://")
    authority, slash, rest = behind.partition("/")
    user, at, host = authority.rpartition("@")
    if ":" in user:
        reason = "a password does not belong on a command line"
        raise SettingsError(reason, step="init", record=name, remedy=_NAME_A_FILE)
    login = {"user": user, **({"password_file": files.password} if files.password else {})} if at else {}
    return login, f"{scheme}://{host}{slash}{rest}"


_NAME_A_FILE = "write it into a file of the collector's user, and name that: --password-file"


def _check_transport(name: str, transport: str) -> None:
    if name.startswith(MAPPED):
        parser(name)
        possible: tuple[str, ...] = ("udp", "tcp", "tls", "http", "sql", "kafka", "mqtt", "file", "sftp", "s3")
    elif name in PARSERS:
        possible = transports(parser(name))
    else:
        raise SettingsError(f"{name!r} is no source", step="init", remedy="wardwatch collector sources lists them")
    if transport not in possible:
        raise SettingsError(f"{name} does not come by {transport!r}", step="init", remedy=f"by {', '.join(possible)}")


def write(path: Path, site: Site) -> None:
    """Write the file, for its owner only since it may hold tokens; raises SettingsError where one exists."""
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text_of(site, path))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", step="init", remedy="name a file that is new") from None


def text_of(site: Site, path: Path) -> str:
    """Return the file's text; each setting stands below what it means."""
    bus = [("bus", site.bus)] if site.bus else []
    parts = [
        f"# The collector of {site.tenant}. docs/operator/settings.md has every setting.\n",
        f"# What works and what does not: wardwatch collector check --config {path}\n\n",
        *_lines(Settings, [*bus, ("data_dir", str(site.data_dir))]),
        "\n[collector]\n",
        *_lines(CollectorSettings, [("tenant", site.tenant), ("zone", site.zone)]),
    ]
    for source in site.sources:
        found = parser(source.parser)
        parts += [f"\n# {found.title}: {found.reads}\n[[collector.sources]]\n", *_lines(SourceSettings, _set(source))]
    return "".join(parts)


def _set(source: SourceSettings) -> list[tuple[str, str]]:
    values = source.model_dump(exclude_defaults=True)
    return [
        (name, value.get_secret_value() if isinstance(value, SecretStr) else str(value))
        for name, value in values.items()
    ]


def _lines(section: type[BaseModel], values: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, value in values:
        meaning = section.model_fields[name].description
        yield f"# {meaning}\n" if meaning else ""
        yield f"{name} = {json.dumps(value, ensure_ascii=False)}\n"  # a JSON string is a TOML string
