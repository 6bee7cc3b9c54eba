"""TLS to the servers of a bus, as the settings of ``bus_access`` say it."""

from __future__ import annotations

import ssl
from pathlib import Path

from wardwatch.errors import SettingsError
from wardwatch.settings import BusAccessSettings


def client_context(access: BusAccessSettings) -> ssl.SSLContext:
    """Return TLS 1.2 or newer that checks the server's name and shows our certificate where there is one.

    Raises SettingsError naming the file that can't be read or is no PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.authorities:
        trust(context, access.authorities, "bus_access.authorities")
    else:
        context.load_default_certs()
    if access.certificate and access.key:
        show(context, access.certificate, access.key, "bus_access.certificate and bus_access.key")
    return context


def trust(context: ssl.SSLContext, authorities: Path, setting: str) -> None:
    """Trust the certificates of a PEM file; raises SettingsError."""
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(setting, f"{authorities}", error) from None


def show(context: ssl.SSLContext, certificate: Path, key: Path, setting: str) -> None:
    """Show a certificate chain, whose key has no password, to the other side; raises SettingsError."""
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(setting, f"{certificate}, {key}", error) from None


def _unreadable(setting: str, files: str, error: OSError) -> SettingsError:
    reason = error.strerror if not isinstance(error, ssl.SSLError) else f"no PEM that fits ({error.reason})"
    return SettingsError(f"{setting}: {files}: {reason}", step="settings", remedy="PEM files that this user can read")
