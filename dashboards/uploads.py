"""Forms with a file: their length is known and limited before anything of them is read."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from dashboards.cases.evidence import MAX_BYTES
from wardwatch.errors import RecordError

_FORM_BYTES = 16 * 1024  # of its other fields and its frame


def is_upload(request: Request) -> bool:
    """Tell whether the request carries a form with a file."""
    return request.headers.get("content-type", "").startswith("multipart/form-data")


async def upload_form(request: Request) -> FormData:
    """Return the form, read once; raises RecordError for one that is too long or does not say how long it is."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MAX_BYTES + _FORM_BYTES:
        raise RecordError(f"a file has 1 to {MAX_BYTES} bytes", step="upload")
    return await request.form(max_files=1, max_fields=4)


async def uploaded(request: Request) -> tuple[str, bytes]:
    """Return name and bytes of the form's file; raises RecordError when it has none."""
    file = (await upload_form(request)).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise RecordError("choose a file", step="upload")
    return file.filename, await file.read()
