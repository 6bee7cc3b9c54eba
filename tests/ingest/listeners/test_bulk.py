"""Senders for Elasticsearch send to a collector: the official client, rsyslog and syslog-ng."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from elasticsearch import ApiError, AuthenticationException, Elasticsearch, NotFoundError, helpers
from pydantic import SecretStr

from ingest.listeners import bulk
from tests.ingest.listeners.test_http import logon
from tests.ingest.running import Running, dead_letters, events, running
from wardwatch.errors import ParseError
from wardwatch.settings import SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import wait_until
from wardwatch.testing.syslog_peers import rsyslog, syslog_ng

TOKEN = "a-token-of-the-test"
BULK = SourceSettings(
    parser="windows", transport="http", listen="127.0.0.1:0", path="/winlogbeat", token=SecretStr(TOKEN)
)


def client(site: Running, **more: Any) -> Elasticsearch:
    credentials = more or {"basic_auth": ("winlogbeat", TOKEN)}
    return Elasticsearch(f"http://127.0.0.1:{site.port()}/winlogbeat", **credentials)


def actions(count: int, kind: str = "create") -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "_op_type": kind,
            "_index": "winlogbeat",
            "_id": f"i{number}",
            "_source": logon(number % 60) | {"n": number},
        }


@pytest.mark.parametrize(
    "credentials", [{"basic_auth": ("any", TOKEN)}, {"api_key": ("any", TOKEN)}, {"bearer_auth": TOKEN}]
)
def test_the_official_client_sends_with_each_kind_of_credentials(tmp_path: Path, credentials: dict[str, Any]) -> None:
    with running(tmp_path, BULK) as site, client(site, **credentials) as elastic:
        assert elastic.info()["version"]["number"] == "9.3.0"
        assert elastic.ping()
        assert elastic.license.get()["license"]["status"] == "active"
        assert elastic.cluster.health()["status"] == "green"
        assert helpers.bulk(elastic, actions(1200)) == (1200, [])
        assert helpers.bulk(elastic, actions(3, "index")) == (3, [])
        assert site.counts("windows")[0] == 1203
        wait_until(site.settled, what="spool empty")
        assert len({event["event.id"] for event in events(site.settings)}) == 1200


def test_a_wrong_token_is_refused_on_every_path_below_the_source(tmp_path: Path) -> None:
    with running(tmp_path, BULK) as site, client(site, basic_auth=("winlogbeat", "wrong")) as elastic:
        for ask in (elastic.info, elastic.license.get, lambda: helpers.bulk(elastic, actions(1))):
            with pytest.raises(AuthenticationException):
                ask()
        assert site.counts("windows")[0] == 0
        for header in ("Basic !", "Basic", "ApiKey " + "A" * 5, "Digest x", ""):
            url = f"http://127.0.0.1:{site.port()}/winlogbeat/_bulk"
            assert httpx.post(url, headers={"Authorization": header}, trust_env=False).status_code == 401


def test_what_is_no_part_of_sending_is_unknown(tmp_path: Path) -> None:
    with running(tmp_path, BULK) as site, client(site) as elastic:
        assert not elastic.indices.exists(index="winlogbeat")
        with pytest.raises(NotFoundError):
            elastic.search(index="winlogbeat")
        with pytest.raises(NotFoundError):
            elastic.ilm.get_lifecycle(name="winlogbeat")


def test_actions_that_are_not_taken_are_refused_alone_and_a_document_for_the_quarantine_is_taken(
    tmp_path: Path,
) -> None:
    mixed = [
        *actions(1),
        {"_op_type": "delete", "_index": "a", "_id": "1"},
        {"_op_type": "update", "_index": "a", "_id": "1", "doc": {"a": 1}},
        {"_op_type": "index", "_index": "a", "_source": {"nonsense": True}},
    ]
    with running(tmp_path, BULK) as site, client(site) as elastic:
        done = list(helpers.streaming_bulk(elastic, mixed, raise_on_error=False))
        assert [(ok, next(iter(item.values()))["status"]) for ok, item in done] == [
            (True, 201),
            (False, 400),
            (False, 400),
            (True, 201),
        ]
        assert site.listeners[0].state() == {"refused_requests": 0, "refused_items": 2}
        wait_until(site.settled, what="spool empty")
        assert len(dead_letters(site.settings)) == 1


@pytest.mark.parametrize(
    "body", [b"nonsense\n{}\n", b'{"index":{}}\n', b'{"index":{},"create":{}}\n{}\n', b'{"a":{}}\n{}\n']
)
def test_a_body_that_is_no_bulk_is_refused_whole(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ParseError):
        bulk.read(body)
    with running(tmp_path, BULK) as site, client(site) as elastic:
        with pytest.raises(ApiError) as refused:
            elastic.perform_request("POST", "/_bulk", headers={"Content-Type": "application/x-ndjson"}, body=body)
        assert refused.value.status_code == 400
        assert site.counts("windows")[0] == 0


def test_items_without_room_are_answered_with_429_and_the_client_sends_them_again(tmp_path: Path) -> None:
    with running(tmp_path, BULK, forward=False, spool_bytes=2**20) as site, client(site) as elastic:
        spool = site.intake.spool
        statuses: list[int] = []
        found: set[str] = set()
        for _, item in helpers.streaming_bulk(elastic, actions(2000), raise_on_error=False):
            statuses.append(item["create"]["status"])
        kept = site.counts("windows")[0]
        assert statuses == [201] * kept + [429] * (2000 - kept)
        assert 0 < kept < 2000

        def drained() -> Iterator[dict[str, Any]]:
            for action in actions(2000):
                entries = spool.read()
                found.update(entry.key for entry in entries)
                spool.ack(entries)
                yield action

        again = helpers.streaming_bulk(elastic, drained(), max_retries=20, initial_backoff=0.01, max_backoff=0.05)
        assert all(ok for ok, _ in again)
        while entries := spool.read():
            found.update(entry.key for entry in entries)
            spool.ack(entries)
        assert len(found) == 2000


def written(folder: Path, count: int) -> Path:
    folder.mkdir()
    lines = (orjson.dumps(logon(number % 60) | {"n": number}) + b"\n" for number in range(count))
    (folder / "in.log").write_bytes(b"".join(lines))
    return folder


def test_rsyslog_sends_by_its_elasticsearch_module_through_a_full_spool(tmp_path: Path) -> None:
    program("rsyslogd", "rsyslog")
    folder = written(tmp_path / "peer", 1500)
    with running(tmp_path / "data", BULK, forward=False, spool_bytes=2**20) as site:
        url = f"http://127.0.0.1:{site.port()}/winlogbeat"
        config = f"""
module(load="imfile") module(load="omelasticsearch")
input(type="imfile" file="{folder}/in.log" tag="windows" ruleset="send")
template(name="document" type="string" string="%msg%")
ruleset(name="send") {{
  action(type="omelasticsearch" server="{url}" searchIndex="windows" searchType="" template="document"
         bulkmode="on" uid="rsyslog" pwd="{TOKEN}" retryFailures="on" retryRuleset="again"
         action.resumeInterval="1" action.resumeRetryCount="-1")
}}
template(name="first" type="string" string="%$!all-json-plain%")
ruleset(name="again") {{
  action(type="omelasticsearch" server="{url}" searchIndex="windows" searchType="" template="first"
         bulkmode="on" uid="rsyslog" pwd="{TOKEN}" retryFailures="on" retryRuleset="again"
         action.resumeInterval="1" action.resumeRetryCount="-1")
}}
"""
        found: set[str] = set()
        spool = site.intake.spool

        def room() -> bool:
            entries = spool.read()
            found.update(entry.key for entry in entries)
            spool.ack(entries)
            return len(found) == 1500

        with rsyslog(folder, config):
            wait_until(lambda: site.listeners[0].state()["refused_items"], what="items without room")
            wait_until(room, what="every document")


def test_syslog_ng_sends_bulks_by_its_http_module(tmp_path: Path) -> None:
    folder = written(tmp_path / "peer", 200)
    with running(tmp_path / "data", BULK) as site:
        config = f"""
source lines {{ file("{folder}/in.log" follow-freq(0.1) flags(no-parse)); }};
destination collector {{
  http(url("http://127.0.0.1:{site.port()}/winlogbeat/_bulk") method("POST") user("syslog-ng") password("{TOKEN}")
       headers("Content-Type: application/x-ndjson") batch-lines(50) batch-timeout(100) delimiter("\\n")
       body-suffix("\\n") body("{{\\"index\\":{{}}}}\\n$MSG")); }};
log {{ source(lines); destination(collector); }};
"""
        with syslog_ng(folder, config):
            wait_until(lambda: site.counts("windows") == (200, 200, 0, 0), what="every document")


def test_curl_sends_a_compressed_bulk_over_an_index_of_its_own(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b'{"create":{}}\n' + orjson.dumps(logon(1)) + b"\n")
    subprocess.run(["gzip", body], check=True)
    with running(tmp_path / "data", BULK) as site:
        url = f"http://127.0.0.1:{site.port()}/winlogbeat/logs-2026/_bulk?filter_path=errors"
        command = [program("curl", "curl"), "--silent", "--noproxy", "*", "--user", f"any:{TOKEN}", url]
        command += ["--header", "Content-Encoding: gzip", "--header", "Content-Type: application/x-ndjson"]
        done = subprocess.run([*command, "--data-binary", f"@{body}.gz"], capture_output=True, check=True)
        answer = orjson.loads(done.stdout)
        assert (answer["errors"], answer["items"][0]["create"]["_index"]) == (False, "logs-2026")
