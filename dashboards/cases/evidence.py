"""Evidence files of cases: bytes in the store, so that every console process has them, told apart by SHA-256.

The bytes are parts of the collection ``evidence`` under hospital and hash, written once; the case names the file. They
are never shown in the console, only downloaded (dashboards.pages.cases), and never opened by it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final

from dashboards import audit
from dashboards.auth.people import Person, Right
from dashboards.cases import case as cases
from dashboards.cases.case import Case, File
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.store import Store
from wardwatch.text import safe_text

MAX_BYTES: Final = 10 * 1024 * 1024
MOST_FILES: Final = 100
_NAME_CHARACTERS = 120
_PART_BYTES = 480 * 1024  # as base64 below the store's limit of a document
_TEXT: tuple[bytes, ...] = ()

KINDS: Final[dict[str, tuple[bytes, ...]]] = {
    "pdf": (b"%PDF-",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpg": (b"\xff\xd8\xff",),
    "jpeg": (b"\xff\xd8\xff",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "docx": (b"PK\x03\x04",),
    "xlsx": (b"PK\x03\x04",),
    "gz": (b"\x1f\x8b",),
    "evtx": (b"ElfFile\x00",),
    "pcap": (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"),
    "pcapng": (b"\x0a\x0d\x0d\x0a",),
    "txt": _TEXT,
    "log": _TEXT,
    "csv": _TEXT,
    "json": _TEXT,
    "jsonl": _TEXT,
    "eml": _TEXT,
}
"""Ending of a file's name → how its bytes begin; text has no such sign, and no NUL."""


def add(store: Store, person: Person, identifier: str, name: str, content: bytes) -> Case:
    """Keep a file with an open case; raises Forbidden, NotFound, Overtaken, RecordError for what is no evidence."""
    person.demand(Right.ANSWER, "case_file", identifier)
    found = cases.read(store, person, identifier)
    cases.demand_open(found, "case_file")
    kept = File(
        id=cases.new_id(),
        at=cases.now(),
        by=person.name,
        name=safe_name(name),
        size_bytes=len(content),
        sha256=sha256(content).hexdigest(),
    )
    _check_kind(kept.name, content)

    def attach(before: Case) -> Case:
        cases.demand_open(before, "case_file")
        if any(one.sha256 == kept.sha256 for one in before.files):
            raise RecordError("the case has this file already", step="case_file", record=identifier)
        if len(before.files) >= MOST_FILES:
            raise RecordError(f"a case has at most {MOST_FILES} files", step="case_file", record=identifier)
        return before.model_copy(update={"files": (*before.files, kept)})

    attach(found)
    _write(store, found.tenant, kept, content)
    return cases.change(store, person, identifier, "case_file", attach, right=Right.ANSWER)


def read(store: Store, person: Person, identifier: str, file: str) -> tuple[File, bytes]:
    """Hand out a file of a case and its bytes; raises NotFound, RecordError when the bytes are not those that came."""
    case = cases.read(store, person, identifier)
    found = next((one for one in case.files if one.id == file), None)
    if found is None:
        raise NotFound(f"no file {file[:40]!r}", step="cases", record=identifier)
    documents = store.documents("evidence")
    parts = [documents.get(_part_id(case.tenant, found, number)).doc["data"] for number in range(_parts(found))]
    content = b"".join(map(b64decode, parts))
    if sha256(content).hexdigest() != found.sha256:
        raise RecordError("the stored bytes are not those that were uploaded", step="evidence", record=identifier)
    about = {"tenant": case.tenant, "case": case.id, "file": found.name, "sha256": found.sha256}
    audit.record(store, person.name, "export", what="evidence", **about)
    return found, content


def safe_name(name: str) -> str:
    """Return the last part of a file's name as safe text with its ending; raises RecordError for an ending unknown."""
    last = safe_text(" ".join(re.split(r"[/\\]", name)[-1].split())).strip(". ")
    stem, _, ending = last.rpartition(".")
    if not stem or ending.lower() not in KINDS:
        raise RecordError(f"not a kind of file that is kept as evidence: {', '.join(KINDS)}", step="case_file")
    return f"{stem[:_NAME_CHARACTERS]}.{ending.lower()}"


def _check_kind(name: str, content: bytes) -> None:
    if not 0 < len(content) <= MAX_BYTES:
        raise RecordError(f"a file has 1 to {MAX_BYTES} bytes", step="case_file")
    begins = KINDS[name.rpartition(".")[2]]
    fits = content.startswith(begins) if begins else b"\0" not in content
    if not fits:
        raise RecordError("the file is not what its name says", step="case_file")


def _write(store: Store, tenant: str, file: File, content: bytes) -> None:
    documents = store.documents("evidence")
    for number in range(_parts(file)):
        part = content[number * _PART_BYTES : (number + 1) * _PART_BYTES]
        doc = {"at": file.at, "tenant": tenant, "sha256": file.sha256, "data": b64encode(part).decode()}
        try:
            documents.create(_part_id(tenant, file, number), doc)
        except Conflict:
            continue  # the same bytes, for another case or before something ended the upload


def _parts(file: File) -> int:
    return -(-file.size_bytes // _PART_BYTES)


def _part_id(tenant: str, file: File, number: int) -> str:
    return f"{tenant}-{file.sha256}-{number}"
