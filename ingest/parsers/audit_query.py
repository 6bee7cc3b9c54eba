"""What may be known of a query inside an audit message: its kind and level, never whom it names.

The content is base64 of an HL7 v2 message, an HL7 v3 document, a FHIR search or a DICOM data set (PS3.15 A.5.3.10).
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator

from wardwatch.event import Document

MAX_BASE64 = 256 * 1024

_LEVELS = frozenset((b"PATIENT", b"STUDY", b"SERIES", b"IMAGE"))
_QUERY_LEVEL = (0x0008, 0x0052)
_PATIENT_NAME = (0x0010, 0x0010)
_HL7V2 = re.compile(rb"[\x0b\s]*(?:MSH|QPD|QRD|PID|RCP)[^\w\s]")
_HL7V2_NAME = re.compile(rb"@PID\.5[.\d]*[^\w\s]([^|~\r\n]*)")
_FHIR = re.compile(rb"\s*(?:\{|(?:GET |https?://|/)?[\w:./%-]{0,500}\?|[\w:.-]{1,64}=)")
_FHIR_NAME = re.compile(rb"(?:name|family|given)(:contains)?=([^&\s]*)")


def query_facts(encoded: str) -> Document:
    """Return the ``dicom.query_*`` fields of a base64 query: those of its kind alone; {} when it can't be read."""
    if len(encoded) > MAX_BASE64:
        return {}
    try:
        content = binascii.a2b_base64(encoded)
    except (binascii.Error, ValueError):
        return {}
    if _HL7V2.match(content):
        return {"dicom.query_kind": "hl7v2", **_wildcard(any(b"*" in name for name in _HL7V2_NAME.findall(content)))}
    if content.lstrip()[:1] == b"<":
        return {"dicom.query_kind": "hl7v3"}
    if elements := dict(_elements(content)):
        return _dicom(elements)
    if _FHIR.match(content):
        named = _FHIR_NAME.findall(content)
        return {"dicom.query_kind": "fhir", **_wildcard(any(contains or b"*" in name for contains, name in named))}
    return {}


def _wildcard(found: bool) -> Document:
    return {"dicom.query_wildcard": found}


def _dicom(elements: dict[tuple[int, int], bytes]) -> Document:
    name = elements.get(_PATIENT_NAME, b"")
    facts = {"dicom.query_kind": "dicom", **_wildcard(b"*" in name or b"?" in name)}
    level = elements.get(_QUERY_LEVEL, b"").strip(b" \0")
    return facts | ({"dicom.query_level": level.decode()} if level in _LEVELS else {})


def _elements(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield the elements of a data set in Implicit VR Little Endian (PS3.5, 7.1.3) as long as their tags ascend."""
    position, last = 0, (0, 0)
    while position + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, position)
        if (group, element) <= last or length > len(data) - position - 8:
            return
        yield (group, element), data[position + 8 : position + 8 + length]
        last = (group, element)
        position += 8 + length
