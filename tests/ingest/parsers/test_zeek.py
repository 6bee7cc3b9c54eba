"""Zeek logs."""

from __future__ import annotations

import pytest

from ingest.parsers import Record, parser
from tests.ingest.parsers.reading import RECEIVED, SITE, one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

HEADER = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
DNS = (
    HEADER
    + "#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\tanswers\n"
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tstring\tvector[string]\n"
    "1772302329.000000\tC1\t10.3.1.5\t53211\t10.9.1.1\t53\tudp\tupdate.example\tA\t203.0.113.9,203.0.113.10\n"
    "1772302330.000000\tC2\t10.3.1.5\t53212\t10.9.1.1\t53\tudp\tc2\\x2eexample\tTXT\t-\n#close\t2026-03-01-03-00-00\n"
)
JSON = (
    '{"ts":1772302329.0,"uid":"C1","id.orig_h":"10.3.1.5","id.orig_p":53211,"id.resp_h":"10.9.1.1","id.resp_p":53,'
    '"proto":"udp","query":"update.example","qtype_name":"A","answers":["203.0.113.9","203.0.113.10"]}'
)


def test_tab_separated_and_json_give_the_same_event() -> None:
    found = parser("zeek")
    (record,) = found.split(DNS.encode())
    first, second = found.parse(Record(record, received=RECEIVED), SITE)
    assert first == one("zeek", JSON)
    assert first.logsource == LogSource("zeek", "dns", "dns")
    assert part(second.doc, "dns.question.name", "dns.answers.data") == ("c2.example", None)


def test_a_file_of_several_logs_is_cut_at_their_headers() -> None:
    assert len(list(parser("zeek").split((DNS + DNS).encode()))) == 2
    assert parser("zeek").is_whole(DNS.encode())
    assert not parser("zeek").is_whole(JSON.encode())


def test_each_log_has_its_service_and_unknown_ones_none() -> None:
    found = parser("zeek")
    services = [one("zeek", record).logsource.service for record in found.split(found.sample())]
    assert services[:8] == ["conn", "dns", "http", "ssl", "dhcp", "mysql", "smb_files", "rdp"]
    assert services[-1] == ""


def test_an_account_of_kerberos_is_told_without_its_realm() -> None:
    assert sample("zeek")[11]["user.name"] == "zhang.wei"


def test_sql_leaves_as_its_shape_only() -> None:
    doc = sample("zeek")[5]
    assert "name=?" in doc["db.statement"]
    assert part(doc, "db.objects", "db.rows", "event.outcome") == (["drug_presc_detail"], 0, "success")


def test_requests_from_outside_are_a_web_servers_and_those_to_it_a_proxys() -> None:
    record = '{"_path":"http","ts":1.0e9,"id.orig_h":"%s","id.resp_h":"%s","uri":"/"}'.replace("1.0e9", "1772302329.0")
    assert one("zeek", record % ("198.51.100.7", "10.9.7.7")).logsource.category == "webserver"
    assert one("zeek", record % ("10.9.7.7", "198.51.100.7")).logsource.category == "proxy"


@pytest.mark.parametrize(
    "record", ["", "{}", '{"ts":"x"}', HEADER, HEADER + "#path\tdns\n#fields\tts\n1772302329.0\tmore\n", "#fields\tts"]
)
def test_what_is_no_zeek_log_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("zeek", record)
