"""Apache Tomcat and Apache HTTP Server: access logs in the common and the combined format.

Source: Apache Tomcat configuration reference, AccessLogValve (``common`` and ``combined``); Apache HTTP Server
2.4, mod_log_config.
"""

from __future__ import annotations

from ingest.parsers import Parsed, Parser, Record, Site, access_log, lines
from ingest.parsers.charset import text
from ingest.scrub import Action
from wardwatch.event import LogSource

_LOGSOURCE = LogSource("apache", "webserver", "tomcat")


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError."""
    doc = access_log.line(text(record.data, site.charset).strip(), step="tomcat")
    return [Parsed({**doc, **access_log.head("tomcat", "tomcat.access")}, _LOGSOURCE)]


PARSER = Parser(
    "tomcat",
    lines,
    parse,
    {
        "user.name": Action.STAFF,
        **dict.fromkeys(("url.original", "http.request.referrer"), Action.URL),
        "user_agent.original": Action.MASK,
    },
    title="Apache Tomcat and HTTP Server",
    reads="access logs in the common and the combined format",
    logsources=(_LOGSOURCE,),
)
