"""Files whose records span lines, each beginning at a line that looks like a beginning."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator


def cut(data: bytes, beginning: re.Pattern[bytes]) -> Iterator[bytes]:
    """Cut a file where ``beginning`` matches; what stands before the first one is a record too."""
    starts = sorted({0, *(found.start() for found in beginning.finditer(data)), len(data)})
    for start, end in itertools.pairwise(starts):
        if data[start:end].strip():
            yield data[start:end].strip()
