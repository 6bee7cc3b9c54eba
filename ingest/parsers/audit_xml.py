"""The XML of an audit message or event: no DTD, bounded in size and depth, in the charset that it really is in."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ingest.parsers.charset import text
from wardwatch.errors import ParseError

MAX_DEPTH = 32
MAX_ELEMENTS = 20_000

_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding=[\"']([\w.:-]{1,40})")
_GB = re.compile(r"gb(?:k|[ _-]?2312|[ _-]?18030)", re.I)


class _Tree(ElementTree.TreeBuilder):
    """A tree without namespaces and with limits."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step
        self._depth = self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise ParseError(f"XML deeper than {MAX_DEPTH} or of more than {MAX_ELEMENTS} elements", step=self._step)
        return super().start(tag.rpartition("}")[2], attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag.rpartition("}")[2])


def read_xml(data: bytes, charset: str, *, step: str) -> ElementTree.Element:
    """Return the root; ``charset`` is the site's. Raises ParseError for a DTD, broken XML or one beyond the limits."""
    parser = DefusedXMLParser(target=_Tree(step), forbid_dtd=True)
    try:
        parser.feed(text(data, _declared(data), "utf-8", charset))
        root: ElementTree.Element = parser.close()
    except DefusedXmlException:
        raise ParseError("XML with a DTD or entities is refused", step=step) from None
    except ElementTree.ParseError as error:
        line, column = error.position
        raise ParseError(f"not well-formed XML at line {line}, column {column}", step=step) from None
    return root


def _declared(data: bytes) -> str:
    found = _DECLARED.match(data)
    return _GB.sub("gb18030", found[1].decode("ascii")) if found else "utf-8"
