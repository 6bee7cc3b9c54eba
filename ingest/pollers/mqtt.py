"""MQTT: messages of a broker's topics, acknowledged when they are in the spool.

The session outlives the connection: what is published at QoS 1 or 2 while the collector is away waits at the broker,
for SESSION_S or as long as the broker allows. The broker sends no more than is acknowledged, so a full spool holds it
back. What is published at QoS 0 has no acknowledgement and may be lost, as its sender chose.
Source: MQTT 5.0 (OASIS standard, 2019): 3.1.2.11 properties of CONNECT, 3.8.3 subscriptions, 4.4 redelivery, 4.9 flow.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.files import digest
from ingest.framing import MAX_FRAME_BYTES
from ingest.intake import Source
from ingest.parsers import Record
from ingest.pollers import Batch
from ingest.pollers.url import Url, split_url
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.text import safe_text

ANSWER_S = 5.0
KEEPALIVE_S = 30
SESSION_S = 7 * 86_400
UNACKNOWLEDGED = 100
MAX_PACKET_BYTES = 4 * 2**20
"""What the broker may send at once; a message beyond it stays there."""
_WAIT_S = 0.5
_EXAMPLE = "mqtts://iot-gw:8883/ward/+/events/#"
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttFeed:
    """The messages of the url's topic filter; ``refuse`` takes those that are too large."""

    def __init__(self, source: Source, refuse: Callable[[Record, str], None], tenant: str) -> None:
        settings = source.settings
        self._url = split_url(settings.url, _PORTS, source.name, _EXAMPLE)
        if not self._url.rest:
            remedy = f'write url = "{_EXAMPLE}"'
            raise SettingsError("url names no topic", step="collector", record=source.name, remedy=remedy)
        self._source = source
        self._refuse = refuse
        self._tls = _tls(source) if self._url.scheme == "mqtts" else None
        self._name = settings.client or f"wardwatch-{tenant}-{digest(f'{source.name} {settings.url}'.encode())}"
        self._link: _Link | None = None
        self._messages = 0

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Yield what the broker sends for ever, and acknowledge it when it was accepted."""
        link = self._link = self._link or self._connected()
        try:
            while True:
                messages = link.waiting()
                self._messages += len(messages)
                records = [record for message in messages if (record := self._record(message))]
                yield Batch(records, cursor)
                link.acknowledge(messages)
        except BaseException:  # what was taken and not acknowledged comes again with the next connection
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; the broker keeps the session."""
        if self._link:
            self._link.client.disconnect()
            self._link = None

    def state(self) -> dict[str, int]:
        """Return how many messages came."""
        return {"messages": self._messages}

    def probe(self) -> str:
        """Tell that the broker grants the subscription, with a session that ends at once; raises Unavailable."""
        self._link = self._connected(session_s=0)
        self.close()
        return "the broker grants the subscription"

    def _connected(self, session_s: int = SESSION_S) -> _Link:
        """Return a connection whose subscription the broker has granted; raises Unavailable."""
        return _connect(self._url, self._source, self._name, self._tls, session_s)

    def _record(self, message: MQTTMessage) -> Record | None:
        data = bytes(message.payload[:MAX_FRAME_BYTES])
        record = Record(data, self._url.host, topic=_topic(message))
        if len(message.payload) <= MAX_FRAME_BYTES:
            return record
        self._refuse(record, f"more than {MAX_FRAME_BYTES} bytes in a message")
        return None


@dataclass
class _Link:
    """One connection. The library runs in our thread only: while the intake waits for room, nothing is read."""

    client: Client
    place: str
    messages: list[MQTTMessage] = field(default_factory=list)
    granted: bool = False
    lost: str = ""

    def waiting(self) -> list[MQTTMessage]:
        """Return the messages that are there, waiting a little for the first; raises Unavailable."""
        self.turn(0 if self.messages else _WAIT_S)  # a session that is resumed sends before all else
        while (count := len(self.messages)) and count < UNACKNOWLEDGED:
            self.turn(0)
            if len(self.messages) == count:
                break
        found, self.messages = self.messages, []
        return found

    def turn(self, wait_s: float) -> None:
        """Let the library read and write; raises Unavailable when the connection has ended."""
        try:
            code = self.client.loop(wait_s)
        except Exception as error:  # whatever a broker's bytes do to the library ends the connection, and no more
            self.fail(f"it does not speak MQTT 5: {type(error).__name__}")
        else:
            if code:
                self.fail(f"the connection ended: {code.name}")
        if self.lost:
            raise Unavailable(f"{self.place}: {self.lost}", step="mqtt")

    def acknowledge(self, messages: list[MQTTMessage]) -> None:
        """Tell the broker that they are safe; after the end of this connection it sends them again."""
        for message in messages:
            self.client.ack(message.mid, message.qos)

    def fail(self, reason: str) -> None:
        """Remember the first reason."""
        self.lost = self.lost or safe_text(reason, limit=200)


def _connect(url: Url, source: Source, name: str, tls: ssl.SSLContext | None, session_s: int) -> _Link:
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5, reconnect_on_failure=False, manual_ack=True)
    client.connect_timeout = ANSWER_S
    settings = source.settings
    if settings.user:
        client.username_pw_set(settings.user, settings.secret())
    if tls:
        client.tls_set_context(tls)
    link = _Link(client, f"{url.scheme}://{url.host}:{url.port}")
    _listen(client, link, url.rest)
    try:
        client.connect(url.host, url.port, KEEPALIVE_S, clean_start=False, properties=_properties(session_s))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{link.place}: {safe_text(str(error), limit=200)}", step="mqtt") from None
    try:
        _wait(link)
    except Unavailable:
        client.disconnect()
        raise
    return link


def _wait(link: _Link) -> None:
    """Return when the broker has granted the subscription; raises Unavailable."""
    deadline = time.monotonic() + ANSWER_S
    while not link.granted:
        link.turn(_WAIT_S)
        if time.monotonic() > deadline:
            link.fail("no answer in time")


def _listen(client: Client, link: _Link, topic: str) -> None:
    """Let the library tell the link what happens, and subscribe when the broker has taken the login."""
    retained_once = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)

    def on_connect(client: Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            link.fail(f"it refuses the login: {code}")
        else:
            client.subscribe(topic, options=retained_once)

    def on_subscribe(_client: Client, _data: Any, _mid: int, codes: list[Any], _properties: Any) -> None:
        if codes[0].is_failure:
            link.fail(f"it refuses topic {topic}: {codes[0]}")
        link.granted = True

    def on_disconnect(_client: Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        link.fail(f"the connection ended: {code}")

    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_disconnect = on_disconnect
    client.on_message = lambda _client, _data, message: link.messages.append(message)


def _properties(session_s: int) -> Any:
    found: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    found.SessionExpiryInterval = session_s
    found.ReceiveMaximum = UNACKNOWLEDGED
    found.MaximumPacketSize = MAX_PACKET_BYTES
    return found


class _Socket(ssl.SSLSocket):
    """A socket that is closed when the handshake fails, for which the library would wait as long as for a ping."""

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(ANSWER_S)
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _topic(message: MQTTMessage) -> str:
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""


def _tls(source: Source) -> ssl.SSLContext:
    """Return the client's side of TLS; raises SettingsError where a file can't be used."""
    settings = source.settings
    try:
        context = ssl.create_default_context(cafile=str(settings.authorities) if settings.authorities else None)
        context.sslsocket_class = _Socket
        if settings.certificate:
            context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # of which SSLError is one
        remedy = "authorities, certificate and key are PEM files that the collector's user can read"
        raise SettingsError(f"TLS: {error}", step="collector", record=source.name, remedy=remedy) from None
    return context
