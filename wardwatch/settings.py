"""All settings of one process: a frozen object, from one TOML file and the environment, checked at start.

The environment wins over the file: ``WARDWATCH_BUS`` is ``bus``, ``WARDWATCH_COLLECTOR__TENANT`` is
``collector.tenant``. The file is named by ``WARDWATCH_CONFIG`` or ``--config``. ``WARDWATCH_SECRETS`` names a folder of
files such as ``wardwatch_store`` and ``wardwatch_bus_access__password`` that hold one setting each.
docs/operator/settings.md lists every setting; a test compares it with this module.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from wardwatch.errors import SettingsError
from wardwatch.topics import TENANT

PREFIX = "WARDWATCH_"
_NOT_SETTINGS = ("WARDWATCH_CONFIG", "WARDWATCH_SECRETS", "WARDWATCH_TEST_")
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


TRANSPORTS: dict[str, tuple[str, ...]] = {
    "udp": ("listen",),
    "tcp": ("listen",),
    "tls": ("listen", "certificate", "key", "authorities"),
    "mllp": ("listen", "certificate", "key", "authorities"),
    "http": ("listen", "path", "token", "certificate", "key", "authorities"),
    "file": ("path", "done"),
    "sftp": ("url", "user", "password", "password_file", "key", "known_hosts", "every_s", "done"),
    "s3": ("url", "endpoint", "addressing", "region", "user", "password", "password_file", "authorities", "every_s"),
    "mqtt": ("url", "user", "password", "password_file", "certificate", "key", "authorities", "client"),
    "sql": ("url", "user", "password", "password_file", "authorities", "query", "cursor", "every_s", "lag_s"),
    "kafka": ("url", "authorities", "certificate", "key", "user", "password", "password_file", "mechanism"),
    "snmp": ("listen", "community", "users"),
    "flow": ("listen",),
}
"""Transport → the keys that it has beside those of every source."""

_OF_EVERY_SOURCE = ("parser", "transport", "name", "charset", "zone")


class SnmpUser(_Section):
    """A user of SNMPv3; its messages must be authenticated, and private where it has ``privacy``."""

    name: str = Field(min_length=1, max_length=32)
    auth: Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"] = "sha256"
    auth_password: SecretStr = Field(min_length=8)
    privacy: Literal["", "des", "aes", "aes256", "aes256c"] = ""
    privacy_password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.privacy and len(self.privacy_password.get_secret_value()) < 8:
            raise ValueError("privacy needs a privacy_password of at least 8 characters")
        return self


class SourceSettings(_Section):
    """One source of a collector: what it sends (``parser``) and how it arrives (``transport``)."""

    parser: str = Field(description="Name of the parser, as the source catalogue lists it: hl7v2, windows, …")
    transport: Literal[
        "udp", "tcp", "tls", "mllp", "http", "file", "sftp", "s3", "mqtt", "sql", "kafka", "snmp", "flow"
    ]
    name: str = Field(
        "",
        pattern=r"^([a-z0-9][a-z0-9_.-]{0,63})?$",
        description="What counters, heartbeats and silence call it; default the parser's name, shared.",
    )
    listen: str = Field("", description="host:port of a network listener; several HTTP sources share one.")
    path: str = Field("", description="URL path of an HTTP source, or the file (a glob) to tail.")
    token: SecretStr = Field(
        SecretStr(""), description="What an HTTP source must send: as bearer token, password or API key."
    )
    url: str = Field(
        "", description="What is asked: sftp://host:22/folder/*.log, postgresql://host:5432/database, … See transports."
    )
    user: str = Field("", description="User there, or the access key of S3.")
    password: SecretStr = Field(SecretStr(""), description="Its password, the secret key of S3, or that of an SSH key.")
    password_file: Path | None = Field(None, description="File that holds the password, in place of it.")
    certificate: Path | None = Field(
        None, description="PEM certificate chain that is shown to the other side: a listener with one speaks TLS."
    )
    key: Path | None = Field(None, description="Its PEM private key, or that of an SSH user.")
    authorities: Path | None = Field(
        None, description="PEM certificates of the CAs whose clients may connect, or by which a server is known."
    )
    known_hosts: Path | None = Field(None, description="File of the SSH server's keys, as ssh-keyscan prints them.")
    endpoint: str = Field("", description="URL of an S3 service that is not Amazon's.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether an S3 bucket is in the path of a URL or in its host."
    )
    region: str = Field("", description="Region of the bucket.")
    client: str = Field(
        "", description="MQTT client identifier; default from tenant and url. The broker keeps messages for it."
    )
    mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="How Kafka is shown user and password: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN."
    )
    query: str = Field("", description="SELECT of the rows, without order; default the parser's own.")
    cursor: tuple[str, ...] = Field(
        (), max_length=2, description="Columns that order the rows: an ever-growing id, or a time and what breaks ties."
    )
    every_s: float = Field(60.0, gt=0, description="Seconds between two looks of a source that is asked.")
    lag_s: float = Field(60.0, ge=0, description="Seconds that a row may become visible after rows that follow it.")
    done: Literal["keep", "delete"] = Field(
        "keep", description="What becomes of a file that was read and has not changed for an hour."
    )
    community: SecretStr = Field(SecretStr(""), description="Community that SNMP v1 and v2c must send; empty: refused.")
    users: tuple[SnmpUser, ...] = Field((), description="Users of SNMP v3, see transports.md; none: refused.")
    charset: str = Field("", description="Character set where the record does not declare one; default UTF-8.")
    zone: str = Field("", description="Time zone of times without one; default the site's.")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        given = {name for name in self.model_fields_set if getattr(self, name) != type(self).model_fields[name].default}
        for name in sorted(given.difference(_OF_EVERY_SOURCE, TRANSPORTS[self.transport])):
            raise ValueError(f"{name} is no setting of transport {self.transport!r}")
        return self

    @property
    def place(self) -> str:
        """Where it listens, what it asks, or the glob of its files."""
        return self.listen or self.url or self.path

    def secret(self) -> str:
        """Return the password, of its file where one is named; raises SettingsError when that can't be read."""
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return self.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = f"{self.password_file} can't be read: {getattr(error, 'strerror', '') or 'it is not UTF-8'}"
            remedy = "the collector's user must be able to read it"
            raise SettingsError(reason, step="collector", record=self.parser, remedy=remedy) from None


class CollectorSettings(_Section):
    """The collector of one site."""

    tenant: str = Field("", description="Slug of the hospital: 1 to 40 of a-z, 0-9 and _.")
    zone: str = Field("Asia/Shanghai", description="Time zone of the hospital.")
    sources: tuple[SourceSettings, ...] = ()
    spool_bytes: int = Field(2 * 2**30, ge=2**20, description="Limit of the spool on disk, in bytes.")
    tokens: Literal["vault", "hmac"] = Field(
        "vault", description="Random tokens in a vault, or keyed hashes (no state, lower assurance)."
    )
    token_key: Path | None = Field(None, description="File with the 32-byte key of vault or hashes; made if absent.")
    token_epoch: Literal["never", "year", "month"] = Field(
        "month", description="How long a patient's tokens stay the same; those of staff always do."
    )
    classification: Path | None = Field(
        None, description="TOML file with the site's classes and levels by GB/T 39725, in place of ours."
    )
    heartbeat_s: float = Field(15.0, gt=0, description="Seconds between heartbeats.")
    configured_by: Path | None = Field(
        None, description="PEM public key of the provider, who may then change the sources from afar; default: nobody."
    )
    remote_paths: tuple[Path, ...] = Field(
        (), description="Folders whose files sources that came from afar may read, beside those of the local sources."
    )
    trial_s: float = Field(300.0, gt=0, description="Seconds for which sources that came from afar are on trial.")

    @field_validator("tenant")
    @classmethod
    def _tenant(cls, value: str) -> str:
        if value and not TENANT.fullmatch(value):
            raise ValueError("1 to 40 of a-z, 0-9 and _")
        return value

    @field_validator("remote_paths")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(path.is_absolute() for path in value):
            raise ValueError("folders must be absolute")
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("no IANA time zone such as Asia/Shanghai") from None
        return value


class BusAccessSettings(_Section):
    """How a server of the bus is reached: whom we trust, who we are, which way."""

    authorities: Path | None = Field(None, description="PEM certificates of whom we trust; default: the system's.")
    certificate: Path | None = Field(None, description="PEM certificate chain by which the servers know us.")
    key: Path | None = Field(None, description="PEM private key of that certificate.")
    user: str = Field("", description="Name for Kafka where no certificate says it (SASL).")
    password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="How user and password are shown: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN."
    )
    proxy: SecretStr = Field(
        SecretStr(""), description="http://host:port of the proxy on the way to a relay; default: HTTPS_PROXY."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("user and password belong together")
        return self


class MatcherSettings(_Section):
    """The matcher."""

    rules: tuple[Path, ...] = Field((), description="Folders of Sigma rules beside the shipped pack.")
    shipped_rules: bool = Field(True, description="Load the rules that ship with wardwatch.")
    pipelines: tuple[Path, ...] = Field(
        (), description="Files and folders of pySigma processing pipelines beside the shipped ones."
    )
    placeholders: Path | None = Field(
        None, description="YAML file of the lists that placeholders in rules name: `name: [value, ...]`."
    )


class AlerterSettings(_Section):
    """The alerter."""

    window_s: int = Field(3600, ge=60, description="Window in which matches of one group are one alert, in seconds.")
    console_url: str = Field("", description="Address of the console in an alert's event.url.")
    lateness_s: float = Field(15.0, ge=0, description="Seconds that a correlation waits for matches of earlier events.")
    correlation_groups: int = Field(200_000, ge=1, description="Most groups of correlations that are open at a time.")


class SchedulerSettings(_Section):
    """The scheduler's jobs."""

    silence_s: float = Field(900.0, gt=0, description="A source without events for so many seconds is silent.")
    check_s: float = Field(30.0, gt=0, description="Seconds between two looks for silent sources.")
    levels_s: float = Field(5.0, gt=0, description="Seconds between two looks at the deadlines of alerts.")
    notify_s: float = Field(2.0, gt=0, description="Seconds between two rounds of sending notifications.")
    keep_alerts_days: int = Field(1096, ge=1, description="Days that alerts are kept.")
    keep_events_days: int = Field(185, ge=1, description="Days that events are kept.")
    keep_deliveries_days: int = Field(185, ge=2, description="Days that the log of notifications is kept.")


class OutboundSettings(_Section):
    """What leaves for servers outside: notifications."""

    allow: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Internal networks that may be reached, such as 10.3.0.0/16; public addresses always may."
    )
    ca: Path | None = Field(None, description="PEM certificates of own authorities, trusted beside the system's.")
    secrets: Path | None = Field(None, description="Folder of the files that `file:NAME` in a channel's row names.")


RoleName = Literal["admin", "lead", "analyst", "engineer", "viewer", "auditor"]


class OidcSettings(_Section):
    """Sign-in with an OpenID provider (authorization code with PKCE)."""

    issuer: str = Field("", description="Issuer URL of the OpenID provider; empty: local accounts alone.")
    client_id: str = Field("", description="Client that the provider knows the console as.")
    client_secret: SecretStr = Field(SecretStr(""), description="Its secret; empty for a public client.")
    redirect_url: str = Field("", description="The console's /oidc/callback as browsers reach it.")
    label: str = Field("SSO", description="The provider's name on the sign-in page.")
    scopes: str = Field("openid profile email", description="Scopes that are asked for.")
    name_claim: str = Field("preferred_username", description="Claim that becomes the account's name.")
    groups_claim: str = Field("groups", description="Claim with the person's groups.")
    roles: dict[str, RoleName] = Field({}, description="Group to role; who has none of these groups is refused.")
    tenants: dict[str, list[str]] = Field({}, description='Group to hospitals, ["*"] for all; who has none is refused.')

    @model_validator(mode="after")
    def _whole(self) -> OidcSettings:
        if self.issuer and not (self.client_id and self.redirect_url):
            raise ValueError("issuer needs client_id and redirect_url")
        return self


class ConsoleSettings(_Section):
    """The console."""

    listen: str = Field("127.0.0.1:8480", description="host:port of the console.")
    session_hours: float = Field(10.0, gt=0, description="Hours after which a person signs in again.")
    secure_cookies: bool = Field(True, description="Send cookies over HTTPS only (localhost is exempt in browsers).")
    second_factor: tuple[RoleName, ...] = Field((), description="Roles that sign in with a second factor.")
    token_rate: int = Field(600, ge=1, description="Requests of one API token in a minute.")
    oidc: OidcSettings = OidcSettings()


class RelaySettings(_Section):
    """The relay, by which collectors reach the provider over HTTPS."""

    listen: str = Field("0.0.0.0:8443", description="host:port of the relay.")
    certificate: Path | None = Field(None, description="PEM certificate chain of the relay.")
    key: Path | None = Field(None, description="PEM private key of that certificate.")
    authorities: Path | None = Field(
        None, description="PEM certificates of the authority that certifies collectors, and nobody else."
    )
    authority_key: Path | None = Field(
        None,
        description="PEM key of that authority; with it the relay certifies collectors itself.",
    )
    certificate_days: int = Field(90, ge=1, description="Days that a certificate is valid which the relay issues.")


class Settings(BaseSettings):
    """Everything that one wardwatch process can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(
        Path("data"), description="Folder for spool, vault, positions and the embedded bus and store."
    )
    bus: str = Field(
        "",
        description="sqlite:///path, kafka://host:port, kafkas://host:port (TLS) or, of a collector, "
        "https://host:port of a relay; default: in data_dir.",
    )
    store: str = Field("", description="sqlite:///path or https://user:password@host:9200; default: in data_dir.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    health_host: str = Field("127.0.0.1", description="Address of the health and metrics ports.")
    health_port: Port = Field(9600, description="First of the health and metrics ports, one per stage; 0: any free.")
    bus_access: BusAccessSettings = BusAccessSettings()
    collector: CollectorSettings = CollectorSettings()
    matcher: MatcherSettings = MatcherSettings()
    alerter: AlerterSettings = AlerterSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    console: ConsoleSettings = ConsoleSettings()
    outbound: OutboundSettings = OutboundSettings()
    relay: RelaySettings = RelaySettings()

    @property
    def bus_url(self) -> str:
        """The bus, with the default filled in."""
        return self.bus or f"sqlite:///{self.data_dir / 'bus.sqlite'}"

    @property
    def store_url(self) -> str:
        """The store, with the default filled in."""
        return self.store or f"sqlite:///{self.data_dir / 'store.sqlite'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over secret files, and those over the TOML file, whose values arrive as arguments."""
        return env_settings, NestedSecretsSettingsSource(file_secret_settings), init_settings


def load(config: Path | None = None) -> Settings:
    """Read the TOML file (``config`` or WARDWATCH_CONFIG) and the environment.

    Raises SettingsError naming each wrong or unknown setting, its value unless it may be secret, and the remedy.
    """
    named = config or (Path(os.environ["WARDWATCH_CONFIG"]) if os.environ.get("WARDWATCH_CONFIG") else None)
    values = _read(named) if named else {}
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        own = variable.startswith(PREFIX) and not variable.startswith(
            (PREFIX + "TEST_", PREFIX + "CONFIG", PREFIX + "SECRETS")
        )
        if own and variable.split("__")[0] not in known:
            raise SettingsError(
                f"{variable} is no setting", step="settings", remedy="docs/operator/settings.md lists them"
            )
    try:
        return Settings(_secrets_dir=os.environ.get("WARDWATCH_SECRETS"), **values)
    except ValidationError as error:
        raise SettingsError(explain(error), step="settings") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}", step="settings") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}", step="settings") from None


def explain(error: ValidationError) -> str:
    """Return what is wrong with which setting, with its value unless it may be secret."""
    return "; ".join(_explain(item) for item in error.errors())


def _explain(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"{name} is no setting"
    secret = name in ("bus", "store") or any(word in name for word in ("token", "password", "secret", "proxy"))
    value = "" if secret or isinstance(item["input"], dict) else f" = {item['input']!r}"
    return f"{name}{value}: {item['msg']}"
