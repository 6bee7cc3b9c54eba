"""Analysts who read pages of the console, in a process of their own: it imports nothing that is slow to start."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Round:
    """Pages that ``analysts`` (0: all) ask for at the same time, ``looks_s`` seconds after each answer."""

    paths: list[str]
    looks_s: tuple[float, float] = (0, 0)
    analysts: int = 0


def shift(
    address: str, cookies: Mapping[str, str], rounds: Sequence[Round], analysts: int, requests: int
) -> list[list[float]]:
    """Return for each round the seconds that each page took; all are signed in by the same cookies."""
    with ExitStack() as opened, ThreadPoolExecutor(analysts) as pool:
        clients = [
            opened.enter_context(httpx.Client(base_url=address, cookies=dict(cookies), trust_env=False, timeout=120))
            for _ in range(analysts)
        ]

        def read(each: Round) -> list[float]:
            took = pool.map(lambda client: _took(client, each, requests), clients[: each.analysts or analysts])
            return [seconds for one in took for seconds in one]

        return [read(each) for each in rounds]


def _took(client: httpx.Client, each: Round, requests: int) -> list[float]:
    chance, took = random.Random(), []
    client.get(each.paths[0]).raise_for_status()  # opens the connection
    for _ in range(requests):
        time.sleep(chance.uniform(*each.looks_s))
        begun = time.perf_counter()
        client.get(chance.choice(each.paths)).raise_for_status()
        took.append(time.perf_counter() - begun)
    return took
