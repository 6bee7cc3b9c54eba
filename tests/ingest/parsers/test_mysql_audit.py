"""MySQL and MariaDB audit logs: every format, what SQL does, and that nothing typed as data leaves."""

from __future__ import annotations

import contextlib
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Parsed, Record, Site
from ingest.parsers.mysql_audit import PARSER
from ingest.parsers.sql_features import features
from ingest.parsers.sql_shape import literal_free, shape_hash
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.errors import ParseError
from wardwatch.event import LogSource, encode

SITE = Site(ZoneInfo("Asia/Shanghai"))
TONGFANG = (
    "SELECT m.PRESC_DOCTOR, d.DRUG_NAME, SUM(d.QUANTITY), COUNT(*) FROM DRUG_PRESC_MASTER m "
    "JOIN DRUG_PRESC_DETAIL d ON m.PRESC_NO = d.PRESC_NO WHERE m.PRESC_DATE >= '2026-01-01' "
)


def one(record: str | bytes) -> Parsed:
    data = record if isinstance(record, bytes) else record.encode()
    (parsed,) = PARSER.parse(Record(data), SITE)
    encode(parsed.doc)
    return parsed


def line(operation: str, value: str = "", status: str = "0", *, database: str = "his") -> str:
    return f"20260301 02:11:09,his-db-02,hisapp,10.3.1.40,77,901,{operation},{database},{value},{status}"


def query(sql: str, status: str = "0") -> dict[str, Any]:
    escaped = sql.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return one(line("QUERY", f"'{escaped}'", status)).doc


def test_a_query_of_server_audit_is_read_whole() -> None:
    record = line("QUERY", "'SELECT name FROM Patient_Master WHERE id = \\'P001\\' AND note = \"a, \\\\\"b\\'\"'")
    parsed = one(record)
    assert parsed.logsource == LogSource("mysql", "database", "audit")
    assert parsed.doc == {
        "@timestamp": "2026-02-28T18:11:09.000Z",
        "event.kind": "event",
        "event.module": "mysql",
        "event.dataset": "mysql.audit",
        "event.category": ["database"],
        "event.type": ["access"],
        "event.action": "db-select",
        "event.outcome": "success",
        "event.code": "0",
        "db.instance": "his-db-02",
        "db.schema": "his",
        "db.connection_id": 77,
        "db.query_id": 901,
        "db.statement": "SELECT name FROM Patient_Master WHERE id = ? AND note = ?",
        "db.sql_parsed": True,
        "db.sql_shape_hash": shape_hash("SELECT name FROM Patient_Master WHERE id = ? AND note = ?"),
        "db.objects": ["patient_master"],
        "db.objects_role": ["patient"],
        "db.has_group_by": False,
        "user.name": "hisapp",
        "client.ip": "10.3.1.40",
        "source.ip": "10.3.1.40",
    }


@pytest.mark.parametrize(
    "group",
    [
        "GROUP BY m.PRESC_DOCTOR, d.DRUG_NAME",
        "group  by 1, 2",
        "GROUP BY `m`.`PRESC_DOCTOR` /* x */, 2 HAVING COUNT(*) > 3 ORDER BY 3 LIMIT 10",
        "GROUP BY UPPER(m.PRESC_DOCTOR), d.DRUG_NAME WITH ROLLUP",
        "/*!50000 GROUP BY 1, 2 */",
        "GROUP BY 1, 2 INTO OUTFILE '/tmp/a' FIELDS TERMINATED BY ','",
    ],
)
def test_prescriptions_counted_by_doctor_and_drug_are_seen_however_they_are_written(group: str) -> None:
    doc = query(TONGFANG + group)
    assert doc["db.sql_parsed"] is True
    assert doc["db.objects"] == ["drug_presc_detail", "drug_presc_master"]
    assert "prescription" in doc["db.objects_role"]
    assert doc["db.has_group_by"] is True
    assert {"drug_name", "presc_doctor"} <= set(doc["db.group_by_columns"])
    assert {"prescriber", "drug"} <= set(doc["db.group_by_roles"])
    assert {"count", "sum"} <= set(doc["db.functions"])


def test_grouping_behind_an_alias_is_seen() -> None:
    sql = "SELECT x, COUNT(*) FROM (SELECT presc_doctor AS x FROM drug_presc_master) AS t GROUP BY x"
    assert "prescriber" in query(sql)["db.group_by_roles"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM patient_master INTO OUTFILE '/tmp/p.csv' FIELDS TERMINATED BY ','",
        "SELECT * INTO DUMPFILE '/tmp/p' FROM patient_master",
        "SELECT /*!40001 SQL_NO_CACHE */ * FROM `patient_master`",
    ],
)
def test_exports_are_marked(sql: str) -> None:
    doc = query(sql)
    assert doc["db.export"] is True
    assert doc["db.objects"] == ["patient_master"]


def test_reading_is_no_export() -> None:
    assert "db.export" not in query("SELECT a FROM t WHERE note = 'into outfile \\'x\\''")


CANARY = "110101199003078515"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT * FROM p WHERE id = '{CANARY}'",
        f'SELECT * FROM p WHERE id = "{CANARY}"',
        f"SELECT * FROM p WHERE id = {CANARY}",
        f"SELECT * FROM p WHERE id = -{CANARY}.5e3",
        f"SELECT * FROM p WHERE id = N'{CANARY}' OR id = _utf8mb4 '{CANARY}' OR id = x'{CANARY}' OR id = 0x{CANARY}",
        f"SELECT * FROM p WHERE a = 'x''{CANARY}' AND b = 'x\\'{CANARY}'",
        f"SELECT 1 -- {CANARY}\nFROM p",
        f"SELECT 1 # {CANARY}\nFROM p",
        f"SELECT /* {CANARY} */ 1 FROM p",
        f"SELECT /*!99999 '{CANARY}' */ 1 FROM p",
        f"SELECT 1 FROM p WHERE a = '{CANARY}",
        f"SELECT 1 FROM p /* {CANARY}",
        f"SELECT * FROM tmp_{CANARY}",
        f"SELECT * FROM `tmp_{CANARY}` WHERE `{CANARY}",
        f"INSERT INTO p VALUES ('{CANARY}', {CANARY}), ('{CANARY}', 1)",
        f"CALL find('{CANARY}')",
        f"SELECT a FROM p WHERE '{CANARY}' 'b' MEMBER OF (",
        f"SELECT a AS '{CANARY}', DATE '{CANARY}' FROM p",
        f"patient {CANARY} says",
        f"LOAD DATA INFILE '/{CANARY}' INTO TABLE p",
        f"GRANT SELECT ON p TO 'a'@'%' IDENTIFIED BY '{CANARY}'",
        f"SELECT 1 GROUP BY {CANARY}",
    ],
)
def test_no_literal_leaves_the_hospital(sql: str) -> None:
    left = encode(query(sql))
    assert CANARY.encode() not in left
    assert CANARY[6:14].encode() not in left


def test_text_that_is_no_sql_does_not_leave() -> None:
    doc = query("张三 says hello")
    assert (doc["event.action"], doc["db.statement"], doc["db.sql_parsed"]) == ("db-statement", "?", False)
    assert "张" not in query("SELECT FROM WHERE 张三 ((")["db.statement"]


@given(st.text(alphabet="'\"`\\-#/*! \n;,()=a?X0.", max_size=60), st.text(alphabet="'\"`\\-#/*! \n", max_size=10))
def test_nothing_between_quotes_survives_whatever_stands_around(before: str, after: str) -> None:
    canary = "QQCANARYQQ"
    shape = literal_free(f"{before} '{canary}' {after}")
    unclosed = (
        any(mark in before for mark in "'\"`\\") or "*/" in before or "/*" in before or "--" in before or "#" in before
    )
    assert unclosed or canary not in shape


@given(st.text(max_size=200))
def test_a_shape_is_its_own_shape(sql: str) -> None:
    shape = literal_free(sql)
    assert literal_free(shape) == shape
    assert features(shape).verb == features(literal_free(shape)).verb


def test_statements_that_differ_in_literals_case_and_spaces_have_one_hash() -> None:
    first, second = query("SELECT a FROM t WHERE b IN (1,2,3)"), query("select  a from t\nwhere b in ( 'x' )")
    assert first["db.sql_shape_hash"] == second["db.sql_shape_hash"]
    assert first["db.sql_shape_hash"] != query("SELECT a FROM t WHERE c IN (1)")["db.sql_shape_hash"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "NOT " * 9000 + "1",
        "SELECT " + "a OR " * 20_000 + "b",
        "SELECT " + "CASE WHEN a THEN " * 500 + "1" + " END" * 500,
        "(" * 100_000,
        "/*" * 100_000,
        "'" * 100_001,
        "`" * 100_001,
        "INSERT INTO t VALUES " + ",".join(["(1,'a')"] * 20_000),
    ],
)
def test_huge_and_deep_statements_are_events_all_the_same(sql: str) -> None:
    assert query(sql)["event.action"].startswith("db-")


def test_a_failed_statement_is_a_failure_with_its_code() -> None:
    doc = query("SELECT a FROM t", "1142")
    assert (doc["event.outcome"], doc["event.code"]) == ("failure", "1142")


@pytest.mark.parametrize(
    ("record", "action", "outcome"),
    [
        (line("CONNECT"), "db-connect", "success"),
        (line("CONNECT", "", "0,TLSv1.3"), "db-connect", "success"),
        (line("FAILED_CONNECT", "", "1045", database=""), "db-connect", "failure"),
        (line("DISCONNECT"), "db-disconnect", "success"),
        (line("READ", "patient_master", ""), "db-table-read", "success"),
        (line("WRITE", "drug_presc_detail", ""), "db-table-write", "success"),
    ],
)
def test_connections_and_tables_of_server_audit(record: str, action: str, outcome: str) -> None:
    doc = one(record).doc
    assert (doc["event.action"], doc["event.outcome"]) == (action, outcome)


def test_a_table_record_names_its_table_and_role() -> None:
    doc = one(line("READ", "PATIENT_MASTER", "")).doc
    assert (doc["db.objects"], doc["db.objects_role"]) == (["patient_master"], ["patient"])


def test_server_audit_through_syslog_has_the_time_it_was_received() -> None:
    record = "<14>Mar  1 02:11:09 db mysql-server_auditing: his-db-02,app,10.3.1.40,77,901,QUERY,his,'SELECT 1',0"
    assert one(record).doc["db.instance"] == "his-db-02"


ENTERPRISE = {
    "timestamp": "2026-02-28 18:11:09",
    "id": 3,
    "class": "general",
    "event": "status",
    "connection_id": 77,
    "account": {"user": "hisapp", "host": "localhost"},
    "login": {"user": "hisapp", "os": "li.na", "ip": "10.3.1.40", "proxy": ""},
    "general_data": {"command": "Query", "sql_command": "select", "query": "SELECT a FROM orders", "status": 0},
}
PERCONA = {
    "name": "Query",
    "timestamp": "2026-02-28T18:11:09 UTC",
    "command_class": "select",
    "connection_id": "77",
    "status": 0,
    "sqltext": "SELECT a FROM orders",
    "user": "hisapp[hisapp] @ app [10.3.1.40]",
    "os_user": "li.na",
    "ip": "10.3.1.40",
}


@pytest.mark.parametrize("record", [ENTERPRISE, {"audit_record": PERCONA}])
def test_json_of_mysql_enterprise_and_percona_read_the_same(record: dict[str, Any]) -> None:
    doc = scrub(one(orjson.dumps(record) + b",").doc, PARSER.policy, HmacTokens(bytes(32)))
    assert doc["@timestamp"] == "2026-02-28T18:11:09.000Z"
    assert (doc["user.name"], doc["source.ip"], doc["db.connection_id"]) == ("hisapp", "10.3.1.40", 77)
    assert (doc["event.action"], doc["event.outcome"]) == ("db-select", "success")
    assert (doc["db.objects"], doc["db.objects_role"]) == (["orders"], ["prescription"])
    assert doc["db.os_user"].startswith("st_")


def test_json_connections_and_table_accesses() -> None:
    attributes = {
        "connection_type": "ssl",
        "status": 1045,
        "db": "his",
        "connection_attributes": {"_client_name": "libmysql"},
    }
    refused = {
        **ENTERPRISE,
        "class": "connection",
        "event": "connect",
        "general_data": {},
        "connection_data": attributes,
    }
    doc = one(orjson.dumps(refused)).doc
    assert (doc["event.action"], doc["event.outcome"], doc["db.client_program"]) == (
        "db-connect",
        "failure",
        "libmysql",
    )
    access = {"db": "his", "table": "pat_visit", "query": "DELETE FROM pat_visit", "sql_command": "delete"}
    doc = one(
        orjson.dumps(
            {**ENTERPRISE, "class": "table_access", "event": "delete", "table_access_data": access, "general_data": {}}
        )
    ).doc
    assert (doc["event.action"], doc["event.type"], doc["db.schema"]) == ("db-delete", ["deletion"], "his")
    percona = {"audit_record": {**PERCONA, "name": "Connect", "status": 1045}}
    assert one(orjson.dumps(percona)).doc["event.outcome"] == "failure"


def test_files_split_into_records() -> None:
    first, second = orjson.dumps(ENTERPRISE), orjson.dumps({"audit_record": PERCONA})
    assert list(PARSER.split(b"[\n" + first + b",\n" + second + b"\n]\n")) == [first, second]
    assert list(PARSER.split(b"a,b\r\n\nc\n")) == [b"a,b", b"c"]


def test_gbk_statements_are_read() -> None:
    record = line("QUERY", "'SELECT 姓名 FROM 病人信息'").encode("gbk")
    assert one(record).doc["db.objects_role"] == ["patient"]


@pytest.mark.parametrize(
    "record",
    [
        "",
        "Trailing words of a log that was cut",
        "20260301 02:11:09,his,app",
        line("QUERY", "'unclosed"),
        line("DANCE"),
        line("QUERY").replace("20260301", "20261301"),
        "{",
        "{}",
        '{"class": 7}',
        '{"class": "general", "timestamp": "2026-03-01 02:11:09"}',
        '{"audit_record": {"name": "Query", "sqltext": "SELECT 1"}}',
        '{"audit_record": {"name": "Ünknown", "timestamp": "2026-03-01T02:11:09Z"}}',
    ],
)
def test_what_is_no_audit_record_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one(record)


@given(st.binary(max_size=300) | st.text().map(lambda text: line("QUERY", text).encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        one(data)


@given(
    st.text(alphabet=" (),.;*=<>?abcgroupbyselectfromwhereinunionjoin'\"`", max_size=80).map("SELECT a FROM t ".__add__)
)
def test_any_statement_is_an_event(sql: str) -> None:
    assert query(sql)["event.action"] == "db-select"
