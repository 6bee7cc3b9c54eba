"""What databases differ in, one module each: how to connect, to write a condition, and to say what is wrong."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from wardwatch.errors import SettingsError
from wardwatch.settings import SourceSettings

CONNECT_S = 5
STATEMENT_S = 30
"""Limit of one statement; the cursor's columns need an index where a table is large."""

DATABASES = {"postgresql": "postgresql", "mysql": "mysql", "oracle": "oracle", "mssql": "sqlserver"}
"""Scheme of the URL → module here, which is also the extra that has its driver."""

URLS = "postgresql://host:5432/database, mysql://host:3306/database, oracle://host:1521/service, mssql://host:1433/database"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is and who asks; ``authorities`` are PEM certificates by which its server must be known."""

    host: str
    port: int
    database: str
    user: str
    password: str
    authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """What a URL says; ``name`` is its fragment, which tells sources of one database apart."""

    scheme: str
    host: str
    port: int | None
    database: str
    name: str

    @property
    def shown(self) -> str:
        """How positions name it."""
        return f"{self.scheme}://{self.host}/{self.database}" + (f"#{self.name}" if self.name else "")


class Database(Protocol):
    """A driver (DB-API 2.0, PEP 249) and a dialect. Of what a driver raises ``reason`` tells what may be shown."""

    port: int

    def connect(self, address: Address) -> Any:
        """Return a connection whose statements are read-only where the server can, and limited to STATEMENT_S."""

    def rows(self, connection: Any, statement: str, values: dict[str, Any]) -> Generator[Sequence[Any], None, None]:
        """Yield the names of the columns, then the rows as they come; perhaps nothing where there are none."""

    def quoted(self, query: str) -> str:
        """Return the site's query so that nothing in it is taken for a placeholder."""

    def mark(self, name: str, value: Any) -> tuple[str, Any]:
        """Return the placeholder of a value in a statement, and what is handed over for it."""

    def first(self, rest: str, limit: int) -> str:
        """Return ``SELECT * FROM`` what follows it, limited to a number of rows."""

    def reason(self, error: Exception) -> str:
        """Return what is wrong, without values of rows."""


def database_of(scheme: str) -> Database:
    """Return the database of a URL's scheme; raises SettingsError when its driver is not installed."""
    name = DATABASES[scheme]
    try:
        found: Database = import_module(f"ingest.pollers.sql.{name}").DATABASE
    except ModuleNotFoundError as error:
        remedy = f"pip install 'wardwatch[{name}]'"
        raise SettingsError(f"{error.name} is not installed", step="collector", remedy=remedy) from None
    return found


def place_of(settings: SourceSettings) -> Place:
    """Return what a source's URL says; raises SettingsError."""
    try:
        found = urlsplit(settings.url)
        place = Place(found.scheme, found.hostname or "", found.port, found.path.strip("/"), found.fragment)
    except ValueError:
        raise _refusal(settings, "url is not readable", f"url: {URLS}") from None
    if found.username is not None or found.password is not None:
        raise _refusal(settings, "url holds a user", "set user and password, or password_file, beside url")
    if place.scheme not in DATABASES or not place.host or not place.database or found.query:
        raise _refusal(settings, f"url {settings.url!r} is no database", URLS)
    if settings.authorities and place.scheme == "mssql":
        raise _refusal(settings, "authorities is no setting of mssql://", "let freetds.conf say what is trusted")
    return place


def _refusal(settings: SourceSettings, reason: str, remedy: str) -> SettingsError:
    return SettingsError(reason, step="collector", record=settings.parser, remedy=remedy)


def one_line(error: object, limit: int = 300) -> str:
    """Return an error's text as one line."""
    return " ".join(str(error).split())[:limit]
