"""Writing to Kafka with a bound on memory and an answer for every record."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, UnknownError

from wardwatch.bus import FLUSH_S, check_size
from wardwatch.bus.kafka.client import Cluster, connected, ours, translated
from wardwatch.errors import BusUnavailable

IN_FLIGHT_BYTES = 32 * 2**20
_BLOCK_S = 10.0
_CLOSE_S = 2.0
_RECORD_OVERHEAD = 100  # bytes that kafka-python keeps beside a record's own, about


class KafkaRecordProducer:
    """An idempotent producer (acks=all, lz4) that connects at the first ``send``.

    kafka-python has no bound on its memory and its ``flush`` raises for none of the records that failed: both are
    done here. After a failure the client is dropped, so that what it still holds can't overtake what is sent again.
    """

    def __init__(self, cluster: Cluster, *, in_flight_bytes: int = IN_FLIGHT_BYTES, block_s: float = _BLOCK_S):
        self._cluster = cluster
        self._limit_bytes = in_flight_bytes
        self._block_s = block_s
        self._client: Any = None
        self._answers = _Answers()

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent and not yet answered."""
        return self._answers.waiting_bytes

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Hand one record to the client, after waiting for room."""
        headers = headers or {}
        size = check_size(topic, value, key, headers) + _RECORD_OVERHEAD
        if not self._answers.room(size, self._limit_bytes, self._block_s):
            self._fail(f"{self._limit_bytes} bytes in flight and no answer in {self._block_s:.0f} s")
        with translated(self._cluster):
            future = self._connected().send(
                topic,
                value=value,
                key=None if key is None else key.encode(),
                headers=[(name, text.encode()) for name, text in headers.items()],
            )
        self._answers.expect(future, size)

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Wait for the answer to every record sent; raises for the first that failed."""
        deadline = time.monotonic() + timeout_s
        if self._client is None:
            return
        try:
            self._client.flush(timeout=timeout_s)
        except UnknownError:
            pass  # "Future not done": a batch too large for its topic is being split; each record's own answer comes
        except KafkaError as error:
            self._drop()
            raise ours(error, self._cluster) from error
        if not self._answers.all_in(max(deadline - time.monotonic(), 0.1)):
            self._fail(f"not acknowledged in {timeout_s:.0f} s")
        failed = self._answers.error
        if failed is not None:
            self._drop()
            raise ours(failed, self._cluster)

    def close(self) -> None:
        """Drop what was not flushed."""
        self._drop()

    def _connected(self) -> Any:
        if self._client is None:
            self._client = connected(
                KafkaProducer,
                self._cluster,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=50,
                batch_size=256 * 1024,
                max_block_ms=5_000,
                delivery_timeout_ms=60_000,
                allow_auto_create_topics=False,
            )
        return self._client

    def _fail(self, reason: str) -> None:
        self._drop()
        raise BusUnavailable(reason, step="send", record=str(self._cluster))

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._answers = _Answers()
        if client is not None:
            # close() alone flushes first, raises and leaves its thread sending: fail what is unsent before
            client._sender.force_close()
            with suppress(KafkaTimeoutError):
                client.close(timeout=_CLOSE_S)


class _Answers:
    """Counts the records in flight; the client's thread reports each answer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.waiting_bytes = 0
        self.error: BaseException | None = None

    def expect(self, future: Any, size: int) -> None:
        with self._changed:
            self.waiting_bytes += size
        future.add_callback(lambda _: self._answered(size, None))
        future.add_errback(lambda error: self._answered(size, error))

    def room(self, size: int, limit: int, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: not self.waiting_bytes or self.waiting_bytes + size <= limit, timeout_s
            )

    def all_in(self, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting_bytes, timeout_s)

    def _answered(self, size: int, error: BaseException | None) -> None:
        with self._changed:
            self.waiting_bytes -= size
            self.error = self.error or error
            self._changed.notify_all()
