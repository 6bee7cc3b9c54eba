"""TLS of the listeners that have a certificate: 1.2 or newer, with a certificate of the peer where CAs are named."""

from __future__ import annotations

import ssl

from ingest.intake import Source
from wardwatch.errors import SettingsError


def server_context(source: Source) -> ssl.SSLContext | None:
    """Return the context of a source's listener, None for one without TLS; raises SettingsError."""
    settings = source.settings
    if not (settings.certificate or settings.key or settings.authorities or settings.transport == "tls"):
        return None
    if not settings.certificate or not settings.key:
        remedy = "set certificate and key of the source"
        raise SettingsError("TLS needs a certificate", step="collector", record=source.name, remedy=remedy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    named = f"{settings.certificate} or its key"
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.authorities:
            named = str(settings.authorities)
            context.load_verify_locations(settings.authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        remedy = "certificate, key and authorities are PEM files that the collector may read"
        reason = f"{named} can't be loaded: {error.strerror or error}"
        raise SettingsError(reason, step="collector", record=source.name, remedy=remedy) from None
    return context
