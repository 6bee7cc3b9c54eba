"""The page of a hospital in a process of its own, with two people, a patient and a patient under protection."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ingest.parsers import Record, Site, parser
from ingest.revealing import People
from ingest.vault import open_vault
from wardwatch.demo.stand import write_certificate
from wardwatch.settings import CollectorSettings
from wardwatch.testing.ports import free_port, wait_until

LI, CHEN = ("li.na", "correct horse battery"), ("chen", "staple of another kind")
REASON = "which patient the alert is about"
HOSTILE = "<script>alert(1)</script>\x1b"


@dataclass
class RevealSite:
    url: str
    folder: Path
    patient: str
    vip: str
    hostile: str

    def records(self) -> list[dict[str, Any]]:
        """Return the audit events on disk."""
        path = self.folder / "reveals.ndjson"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [one.doc for line in lines for one in parser("reveal").parse(Record(line), Site())]


@contextmanager
def reveal_site(folder: Path) -> Iterator[RevealSite]:
    own = folder / "collector" / "renai"
    with closing(open_vault(CollectorSettings(tenant="renai"), own)) as vault:
        tokens = [vault.token("pt", value) for value in ("MR1 张三", "MR2", HOSTILE)]
        vault.guard("pt", "MR2")
        vault.commit()
    people = People(own / "people.json")
    for (account, password), role in ((LI, "privacy-officer"), (CHEN, "archivist")):
        people.add(account, role, password)
    chain, key = write_certificate(folder / "tls")
    config = folder / "site.toml"
    config.write_text(f'data_dir = "{folder}"\n[collector]\ntenant = "renai"\n')
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "wardwatch", "reveal", "serve", "--listen", listen, "--config", str(config)]
    with subprocess.Popen(
        [*command, "--certificate", str(chain), "--key", str(key)], stdout=subprocess.DEVNULL
    ) as child:
        try:
            wait_until(lambda: _answers(f"https://{listen}/"), what="the page")
            yield RevealSite(f"https://{listen}", own, *tokens)
        finally:
            child.terminate()
            assert child.wait(30) == -signal.SIGTERM  # as uvicorn ends


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, verify=False).status_code == 200
    except httpx.HTTPError:
        return False
