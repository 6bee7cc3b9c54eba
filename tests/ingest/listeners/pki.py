"""Certificates of a CA that lives as long as a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pki:
    """PEM files of one CA: certificates of the collector and of a sender."""

    folder: Path

    def __post_init__(self) -> None:
        authority = trustme.CA()
        self.folder.mkdir()
        authority.cert_pem.write_to_path(self.ca)
        for name, identity in (("server", "127.0.0.1"), ("client", "his-db-1")):
            issued = authority.issue_cert(identity, common_name=identity)
            issued.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")
            issued.private_key_pem.write_to_path(self.folder / f"{name}.key")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def source(self, *, mutual: bool) -> dict[str, object]:
        own: dict[str, object] = {"certificate": self.folder / "server.pem", "key": self.folder / "server.key"}
        return own | ({"authorities": self.ca} if mutual else {})
