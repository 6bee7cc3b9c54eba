"""The demo that a person looks at: noise from both hospitals, and the attack step by step on one of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle

from wardwatch.demo.day import Step, day
from wardwatch.demo.stand import Site, Stand

_NOISE_EVERY_S = 0.25
_STORY_AFTER_S = 6.0
_STORY_EVERY_S = 4.0


def play(stand: Stand) -> None:
    """Send from both hospitals, at the present time, until the stand is stopping."""
    for site in stand.sites:
        steps = day(site.hospital)
        noise = [step for step in steps if not step.story]
        random.Random(site.hospital.tenant).shuffle(noise)  # noqa: S311 the order of noise, not a secret
        _start(stand, site, cycle(noise), _NOISE_EVERY_S, first_s=0.0)
        _start(stand, site, iter([step for step in steps if step.story]), _STORY_EVERY_S, first_s=_STORY_AFTER_S)


def _start(stand: Stand, site: Site, steps: Iterator[Step], every_s: float, *, first_s: float) -> None:
    threading.Thread(target=_play, args=(stand, site, steps, every_s, first_s), daemon=True).start()


def _play(stand: Stand, site: Site, steps: Iterator[Step], every_s: float, first_s: float) -> None:
    senders = stand.senders(site)
    stand.stopping.wait(first_s)
    for step in steps:
        senders[step.source].send([step.make(datetime.now(UTC))])
        if stand.stopping.wait(every_s):
            return
