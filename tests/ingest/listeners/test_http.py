from __future__ import annotations

import gzip
import socket
from pathlib import Path

import httpx
import orjson
import pytest
from pydantic import SecretStr

from tests.ingest.running import Running, dead_letters, events, running
from wardwatch.errors import SettingsError
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

TOKEN = "a-token-of-the-test"
HTTP = SourceSettings(parser="windows", transport="http", listen="127.0.0.1:0", path="/windows", token=SecretStr(TOKEN))


def logon(number: int) -> dict[str, object]:
    return {
        "EventID": 4624,
        "Channel": "Security",
        "Hostname": "his-ws-1",
        "EventTime": f"2026-03-01T02:11:{number:02d}Z",
        "RecordNumber": number,
        "TargetUserName": "nurse1",
    }


def post(site: Running, body: bytes, **headers: str) -> httpx.Response:
    all_headers = {"Authorization": f"Bearer {TOKEN}"} | {name.replace("_", "-"): v for name, v in headers.items()}
    url = f"http://127.0.0.1:{site.port()}/windows"
    return httpx.post(url, content=body, headers=all_headers, trust_env=False, timeout=20)


def test_object_array_ndjson_and_gzip_are_durable_when_answered(tmp_path: Path) -> None:
    with running(tmp_path, HTTP) as site:
        bodies = [
            orjson.dumps(logon(1)),
            orjson.dumps([logon(2), logon(3)]),
            b"\n".join(orjson.dumps(logon(number)) for number in (4, 5)) + b"\n",
        ]
        for count, body in zip((1, 2, 2), bodies, strict=True):
            answer = post(site, body)
            assert (answer.status_code, answer.json()) == (200, {"accepted": count, "rejected": 0})
        assert post(site, gzip.compress(orjson.dumps(logon(6))), Content_Encoding="gzip").status_code == 200
        assert site.counts("windows")[0] == 6
        wait_until(site.settled, what="spool empty")
        assert len({event["event.id"] for event in events(site.settings)}) == 6


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, b"{}", {"Authorization": "Bearer wrong"}),
        (400, b"", {}),
        (400, b"no gzip", {"Content_Encoding": "gzip"}),
        (413, gzip.compress(b"0" * (17 * 2**20)), {"Content_Encoding": "gzip"}),
        (413, b"0" * (17 * 2**20), {}),
        (413, b"1\n" * 100_001, {}),
        (415, b"{}", {"Content_Encoding": "zstd"}),
        (415, b"{}", {"Content_Encoding": "deflate"}),
    ],
    ids=["token", "empty", "no gzip", "bomb", "large", "records", "zstd", "deflate"],
)
def test_a_request_that_is_refused_says_why_and_the_next_is_taken(
    tmp_path: Path, status: int, body: bytes, headers: dict[str, str]
) -> None:
    with running(tmp_path, HTTP) as site:
        answer = post(site, body, **headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
        assert post(site, orjson.dumps(logon(1))).status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        b"not JSON",
        b"[" * 100_000,
        b'{"EventID": NaN}',
        b'{"EventID": 4624, "a": "\xff\xfe"}',
        b"\x00",
        "锟斤拷".encode("gbk"),
    ],
    ids=["not json", "brackets", "nan", "utf-8", "nul", "gbk"],
)
def test_a_bad_record_is_rejected_and_its_neighbours_are_taken(tmp_path: Path, bad: bytes) -> None:
    with running(tmp_path, HTTP) as site:
        answer = post(site, b"\n".join([orjson.dumps(logon(1)), bad, orjson.dumps(logon(2))]))
        assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": 1})
        wait_until(site.settled, what="spool empty")
        assert len(dead_letters(site.settings)) == 1


def test_a_full_spool_is_answered_with_503_and_when_to_come_back(tmp_path: Path) -> None:
    with running(tmp_path, HTTP, forward=False, spool_bytes=2**20) as site:
        body = orjson.dumps([logon(number) for number in range(50)])
        statuses: list[httpx.Response] = []
        while not statuses or statuses[-1].status_code == 200:
            assert len(statuses) * len(body) < 2**20, "more was acknowledged than the spool holds"
            statuses.append(post(site, body))
        assert statuses[-1].status_code == 503
        assert statuses[-1].headers["Retry-After"] == "5"
        accepted = site.counts("windows")[0]
        assert accepted == 50 * (len(statuses) - 1)


def test_peers_that_never_finish_their_headers_do_not_delay_another(tmp_path: Path) -> None:
    with running(tmp_path, HTTP) as site:
        slow = [socket.create_connection(("127.0.0.1", site.port()), 10) for _ in range(50)]
        for peer in slow:
            peer.sendall(b"POST /windows HTTP/1.1\r\nHost:")
        assert post(site, orjson.dumps(logon(1))).status_code == 200
        for peer in slow:
            peer.close()


def test_sources_that_share_a_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="share a path"), running(tmp_path, HTTP, HTTP):
        pass
