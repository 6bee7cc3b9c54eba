"""Parsers, one module per source; ``PARSERS`` is the catalogue.

A parser is pure: bytes of one record in, flat ECS documents out. It sets only fields it understands; what identifies a
person is named in the source's scrub policy (ingest/scrub.py). A record it can't read is a ParseError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from ingest.joining import Parts
from ingest.scrub import Action
from wardwatch.event import Document, LogSource


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it arrived.

    ``peer`` is the sender's address; ``position`` is set where the transport can name the record again (a file and
    offset), else "" and the record's content identifies it; ``received`` is aware. ``topic`` is what a broker calls the
    record by, "" where nothing does.
    """

    data: bytes
    peer: str = ""
    position: str = ""
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What a parser must know of where the record was written: the zone of times without one, the character set."""

    zone: tzinfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    charset: str = "utf-8"


class Parsed(NamedTuple):
    """One event of a record: its document (with ``@timestamp``, without ``event.id``) and its log source."""

    doc: Document
    logsource: LogSource


@dataclass(frozen=True, slots=True)
class Query:
    """How rows that a parser reads are asked for.

    ``select`` has no order; ``cursor`` names one or two of its columns that order the rows; ``databases`` are the
    schemes of the URLs (postgresql, mysql, oracle, mssql) for which it is written.
    """

    select: str
    cursor: tuple[str, ...]
    databases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parser:
    """One source.

    ``split`` cuts a file into the bytes of its records (a listener's frame is one record already); ``parse`` returns
    the events of one record, at least one, and raises ParseError; ``policy`` maps fields to what the scrub does.
    ``title``, ``reads`` and ``logsources`` are its entry in the catalogue: the products, their formats, and the log
    sources of the events, where "*" stands for what the event decides. ``whole`` says that records span lines, so that
    a file can be read only when it is complete; ``magic`` is how files start of which alone that is true. ``query`` is
    set where its records are rows of a database. ``parts`` tells of an event of several lines which line belongs to it
    (ingest/joining.py), so that what comes line by line is joined on its way.
    """

    name: str
    split: Callable[[bytes], Iterator[bytes]]
    parse: Callable[[Record, Site], list[Parsed]]
    policy: Mapping[str, Action]
    title: str
    reads: str
    logsources: tuple[LogSource, ...]
    whole: bool = False
    magic: bytes | None = None
    query: Query | None = None
    parts: Parts | None = None

    def is_whole(self, start: bytes) -> bool:
        """Tell whether a file that starts so can be read only when it is complete."""
        return self.whole or (self.magic is not None and start.startswith(self.magic))

    def sample(self) -> bytes:
        """Return the records of ``ingest/samples`` that are this source's example."""
        samples = files("ingest").joinpath("samples").iterdir()
        (found,) = (sample for sample in samples if sample.name.rpartition(".")[0] == self.name)
        return found.read_bytes()


PARSERS = (
    "hl7v2",
    "dicom_audit",
    "fhir_audit",
    "orthanc",
    "dcm4chee",
    "openemr",
    "his_operations",
    "mysql_audit",
    "oracle_audit",
    "oracle_unified",
    "pgaudit",
    "sqlserver_audit",
    "database_audit",
    "windows",
    "linux",
    "auditd",
    "sysmon_linux",
    "generic_syslog",
    "cups",
    "mdm",
    "veeam",
    "bastion",
    "endpoint_security",
    "iot_telemetry",
    "claroty_xdome",
    "armis",
    "huawei_usg",
    "cef",
    "leef",
    "suricata",
    "zeek",
    "h3c",
    "sangfor_af",
    "sangfor_atrust",
    "topsec",
    "fortigate",
    "paloalto",
    "cisco_asa",
    "nginx",
    "tomcat",
    "safeline",
    "modsecurity",
    "jumpserver",
    "ms_dhcp",
    "dnsmasq",
    "bind",
    "freeradius",
    "cisco_ise",
    "cloudtrail",
    "actiontrail",
    "cloudaudit",
    "s3_access",
    "oss_access",
    "cos_access",
    "api_gateway",
    "vcenter",
    "snmp_trap",
    "netflow",
    "reveal",
)
"""Every source by its stable name, which is also its module here, or the file of its mapping."""

MAPPINGS = (
    "dcm4chee",
    "openemr",
    "his_operations",
    "database_audit",
    "cups",
    "mdm",
    "veeam",
    "iot_telemetry",
    "claroty_xdome",
    "armis",
    "bastion",
    "endpoint_security",
)
"""Sources that a file of ``ingest/mappings`` describes."""

MAPPED = "mapped:"
"""What stands before the file of a hospital's own mapping."""


def parser(name: str) -> Parser:
    """Return the parser of a source or of ``mapped:FILE.toml``.

    Raises KeyError for an unknown name, SettingsError for a mapping file that is wrong.
    """
    if name.startswith(MAPPED) or name in MAPPINGS:
        from ingest.parsers import mapped

        return mapped.shipped(name) if name in MAPPINGS else mapped.load(Path(name.removeprefix(MAPPED)))
    if name not in PARSERS:
        raise KeyError(name)
    found = import_module(f"ingest.parsers.{name}").PARSER
    assert isinstance(found, Parser)  # noqa: S101 a module of this package
    return found


def lines(data: bytes) -> Iterator[bytes]:
    """Cut text into its non-empty lines (LF or CRLF)."""
    for line in data.split(b"\n"):
        if line.strip():
            yield line.rstrip(b"\r")
