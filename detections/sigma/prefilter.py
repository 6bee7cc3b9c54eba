"""Which rules can a record meet, as far as its bytes show, before it is decoded?

A rule can be met only where one of its witnesses is, and a witness only where its piece is: the pieces of one set of
witnesses of each rule are looked for together, in one pass over the record, and most records hold none. Which of its
sets is the rarest the records themselves show (docs/decisions/0013-prefilter.md).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import hyperscan

from detections.sigma.expression import Expression, Test, tests
from detections.sigma.memo import Memo, Memory
from detections.sigma.pieces import ALARMS, Pieces, hides, pieces
from detections.sigma.witness import Witnesses, guess, witnesses

_FEW = 6.0  # rules a record, asked one by one, that are cheaper than finding them by what all its fields give
_PRICE = 40  # times that a rule is asked which are as dear as choosing its witnesses anew
_LATER = 4  # times as many until the next review
_SAMPLE = 32  # records
_SAMPLE_BYTES = 4_096  # of a record are kept
_SELDOM = 0.01  # share of records: a witness found so seldom stays
_TIE = 1e-3  # of a guess: where records hold neither of two pieces

Chosen = Witnesses[bytes]


class Candidates(NamedTuple):
    """Places of the rules that a record can meet, None for any; ``whole``: a keyword can be in its values."""

    places: tuple[int, ...] | None
    whole: bool


ANY = Candidates(None, whole=True)


class Prefilter:
    """The pieces of the conditions of a program. One thread at a time may use it."""

    def __init__(self, conditions: Sequence[Expression], memory: Memory) -> None:
        self._conditions = conditions
        keywords = [pieces(test) for each in conditions for test in tests(each) if not test.field]
        longest = [max(options, key=lambda found: min(map(len, found))) for options in keywords if options]
        self._keywords = {piece for found in longest for piece in found}
        self._whole = () in keywords
        self._found: list[int] = []
        self._hits: Counter[int] = Counter()
        self._seen = self._asked = 0
        self._review_at = self._first_review = _PRICE * len(conditions)
        self._sample: deque[bytes] = deque(maxlen=_SAMPLE)
        self._pieces: list[bytes] = []
        self._database: hyperscan.Database | None = None
        self._memo: Memo[frozenset[int], Candidates] = Memo(self._candidates, memory)
        self._chosen = [witnesses(each, _guess) for each in conditions]
        self._take_up(few=True)

    def candidates(self, raw: bytes) -> Candidates:
        """Return the rules that a record can meet."""
        found = self._found
        if found:
            found.clear()
        self._seen += 1
        self._sample.append(raw[:_SAMPLE_BYTES])
        if self._database is not None:
            self._database.scan(raw, match_event_handler=self._take)
        return self._asking(raw, found) if found else self._nothing

    def _asking(self, raw: bytes, found: list[int]) -> Candidates:
        alarm = len(self._pieces)
        if max(found) >= alarm:
            if hides(raw):
                return ANY
            found[:] = [number for number in found if number < alarm]
        for number in found:
            self._hits[number] += 1
        candidates = self._memo[frozenset(found)]
        self._asked += len(self._conditions if candidates.places is None else candidates.places)
        if self._asked >= self._review_at:
            self._review()
        return candidates

    def _take(self, number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
        self._found.append(number)

    def _candidates(self, found: frozenset[int]) -> Candidates:
        always, whole = self._nothing
        witnessed = {place for number in found for place in self._witnessed[number]}
        places = None if always is None else tuple(sorted(witnessed.union(always)))
        return Candidates(places, whole or not self._keywords.isdisjoint(self._pieces[number] for number in found))

    def _review(self) -> None:
        """Choose anew the witnesses that records held; give up where a record would still ask many rules."""
        held = _Held(self._sample, {each: self._hits[at] / self._seen for at, each in enumerate(self._pieces)})
        self._chosen = [
            old if old and held.often(old) < _SELDOM else witnesses(condition, held.of_test)
            for old, condition in zip(self._chosen, self._conditions, strict=True)
        ]
        early = self._review_at == self._first_review  # what finds rules by fields is dearer to compile than a review
        self._take_up(few=early or sum(map(held.often, self._chosen)) <= _FEW)
        self._seen, self._asked, self._review_at = 0, 0, self._review_at * _LATER
        self._hits.clear()

    def _take_up(self, *, few: bool) -> None:
        """Look for the keywords and, where ``few`` rules are then asked, for the pieces of the chosen witnesses."""
        witnessed: defaultdict[bytes, set[int]] = defaultdict(set)
        for place, chosen in enumerate(self._chosen if few else ()):
            for each in chosen[1] if chosen else ():
                witnessed[each].add(place)
        always = tuple(place for place, chosen in enumerate(self._chosen) if chosen is None)
        self._nothing = Candidates(always if few else None, self._whole)
        found = sorted(witnessed.keys() | self._keywords)
        if found != self._pieces:
            self._pieces, self._database = found, _database(found)
        self._witnessed = [witnessed.get(each, set()) for each in found]
        self._memo.clear()


class _Held:
    """How often records hold a piece: those of a sample, or more of them where ``known`` has it."""

    def __init__(self, sample: Iterable[bytes], known: Mapping[bytes, float]) -> None:
        self._sample = [raw.lower() for raw in sample]
        self._known = known
        self._rates: dict[bytes, float] = {}

    def of_test(self, test: Test) -> Chosen | None:
        """Return the pieces of a test that records held most seldom."""
        return _rarest(test, lambda found: sum(map(self._rate, found)) + _TIE * guess(test))

    def often(self, chosen: Chosen | None) -> float:
        """Return in what share of the records a rule with these witnesses has to be asked, at most."""
        return 1.0 if chosen is None else min(1.0, sum(map(self._rate, chosen[1])))

    def _rate(self, piece: bytes) -> float:
        known = self._known.get(piece)
        if known is not None:
            return known
        if piece not in self._rates:
            self._rates[piece] = sum(piece in raw for raw in self._sample) / len(self._sample)
        return self._rates[piece]


_USUAL = rb"""
"@timestamp" "winlog.event_data." "event.code" "host.name" "user.name" "process.executable" "product" "true" "false"
"microsoft corporation" "microsoft windows operating system" "security" "system" "nt authority\\system" "unknown"
"c:\\windows\\system32\\svchost.exe" "c:\\windows\\system32\\wbem\\wmiprvse.exe" "c:\\windows\\explorer.exe"
c:\\windows\\system32\\ntdll.dll+ c:\\windows\\system32\\kernelbase.dll+ "c:\\windows\\system32\\windowspowershell\\
"c:\\users\\ \\appdata\\local\\ "s-1-5-21- "s-1-5-18" "s-1-0-0" "0x3e7" "key" "file" "process" "unknown" subset
"hklm\\software\\microsoft\\windows\\currentversion\\ "hklm\\software\\microsoft\\windows nt\\currentversion\\
"hklm\\system\\currentcontrolset\\services\\ "\\registry\\machine\\system dword (0x00000000)" dword (0x00000001)"
"""
"""What records often hold: no good first guess."""


def _guess(test: Test) -> Chosen | None:
    return _rarest(test, lambda found: guess(test) if len(found) > 1 else _guess_of_text(found[0]))


def _guess_of_text(piece: bytes) -> float:
    return 1.0 if piece.strip(b'"|') in _USUAL else 0.8 ** min(len(piece), 24)


def _rarest(test: Test, weight: Callable[[Pieces], float]) -> Chosen | None:
    weighed = [(weight(found), frozenset(found)) for found in pieces(test)]
    return min(weighed, key=lambda each: each[0], default=None)


def _database(found: Sequence[bytes]) -> hyperscan.Database | None:
    """Return the database of the pieces, by their place; a higher number is an alarm."""
    if not found:
        return None
    expressions = [re.escape(each) for each in (*found, *ALARMS)]
    caseless = [hyperscan.HS_FLAG_CASELESS] * len(found) + [0] * len(ALARMS)
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=expressions,
        elements=len(expressions),
        flags=[each | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL for each in caseless],
    )
    return database
