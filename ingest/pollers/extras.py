"""Feeds whose library not every site has: each is an extra of the package, named like its transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ingest.intake import Source
from ingest.parsers import Record
from ingest.pollers import Feed
from wardwatch.errors import SettingsError


class ProbedFeed(Feed, Protocol):
    """A feed that can be tried without taking anything."""

    def probe(self) -> str:
        """Connect, look, and return what was found in a few words; raises Unavailable."""


def extra_feed(source: Source, refuse: Callable[[Record, str], None], tenant: str) -> ProbedFeed:
    """Return the feed of a source; raises SettingsError where it can't work or its library is not installed."""
    transport = source.settings.transport
    try:
        if transport == "mqtt":
            from ingest.pollers.mqtt import MqttFeed

            return MqttFeed(source, refuse, tenant)
        if transport == "s3":
            from ingest.pollers.s3 import S3Feed

            return S3Feed(source, refuse)
        from ingest.pollers.sftp import SftpFeed

        return SftpFeed(source, refuse)
    except ModuleNotFoundError as error:
        remedy = f"pip install 'wardwatch[{transport}]'"
        raise SettingsError(
            f"{error.name} is not installed", step="collector", record=source.name, remedy=remedy
        ) from None
