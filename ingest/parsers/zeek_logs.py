"""Which columns of Zeek's logs become which fields, and what each log's lines mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONNECTION: Mapping[str, str] = {
    "id.orig_h": "source.ip",
    "id.orig_p": "source.port",
    "id.resp_h": "destination.ip",
    "id.resp_p": "destination.port",
    "src": "source.ip",
    "dst": "destination.ip",
    "p": "destination.port",
    "orig_l2_addr": "source.mac",
    "resp_l2_addr": "destination.mac",
    "proto": "network.transport",
    "community_id": "network.community_id",
    "uid": "zeek.uid",
}


@dataclass(frozen=True, slots=True)
class Log:
    """One log: its fields by column, its meaning, and a column (``mark``) that no log before it in ``LOGS`` has."""

    names: Mapping[str, str] = field(default_factory=dict)
    category: tuple[str, ...] = ("network",)
    type: tuple[str, ...] = ("info",)
    action: str = "network-seen"
    mark: str = ""


LOGS: Mapping[str, Log] = {
    "conn": Log(
        {
            "service": "network.protocol",
            "orig_bytes": "source.bytes",
            "resp_bytes": "destination.bytes",
            "orig_pkts": "source.packets",
            "resp_pkts": "destination.packets",
            "conn_state": "zeek.conn.state",
            "history": "zeek.conn.history",
        },
        type=("connection", "end"),
        action="session-end",
        mark="conn_state",
    ),
    "dns": Log(
        {
            "query": "dns.question.name",
            "qtype_name": "dns.question.type",
            "rcode_name": "dns.response_code",
            "answers": "dns.answers.data",
            "trans_id": "dns.id",
        },
        type=("protocol",),
        action="dns-query",
        mark="qtype_name",
    ),
    "http": Log(
        {
            "method": "http.request.method",
            "host": "url.domain",
            "uri": "url.original",
            "referrer": "http.request.referrer",
            "user_agent": "user_agent.original",
            "status_code": "http.response.status_code",
            "request_body_len": "http.request.body.bytes",
            "response_body_len": "http.response.body.bytes",
            "resp_mime_types": "http.response.mime_type",
            "username": "user.name",
            "version": "http.version",
        },
        ("web", "network"),
        ("access",),
        "http-request",
        mark="response_body_len",
    ),
    "ssl": Log(
        {
            "version": "tls.version",
            "cipher": "tls.cipher",
            "server_name": "tls.client.server_name",
            "subject": "tls.server.subject",
            "issuer": "tls.server.issuer",
            "established": "tls.established",
            "resumed": "tls.resumed",
            "ja3": "tls.client.ja3",
            "ja3s": "tls.server.ja3s",
            "validation_status": "zeek.ssl.validation_status",
        },
        type=("protocol",),
        action="tls-handshake",
        mark="cipher",
    ),
    "dhcp": Log(
        {
            "mac": "client.mac",
            "assigned_addr": "client.ip",
            "client_addr": "source.ip",
            "server_addr": "server.ip",
            "host_name": "client.domain",
            "msg_types": "zeek.dhcp.msg_types",
        },
        type=("protocol",),
        action="dhcp-lease",
        mark="msg_types",
    ),
    "mysql": Log({"cmd": "zeek.mysql.command"}, ("database", "network"), ("access",), "db-command", mark="cmd"),
    "smb_files": Log(
        {"action": "zeek.smb.action", "path": "file.share", "name": "file.name", "size": "file.size"},
        ("file", "network"),
        ("access",),
        "smb-file",
        mark="times.modified",
    ),
    "smb_mapping": Log(
        {"path": "file.share", "service": "network.protocol", "share_type": "zeek.smb.share_type"},
        ("file", "network"),
        ("access",),
        "smb-mapping",
        mark="share_type",
    ),
    "dce_rpc": Log(
        {
            "endpoint": "zeek.dce_rpc.endpoint",
            "operation": "zeek.dce_rpc.operation",
            "named_pipe": "zeek.dce_rpc.named_pipe",
        },
        type=("protocol",),
        action="rpc-call",
        mark="endpoint",
    ),
    "rdp": Log(
        {
            "cookie": "user.name",
            "result": "zeek.rdp.result",
            "security_protocol": "zeek.rdp.security_protocol",
            "client_name": "source.domain",
        },
        ("network", "session"),
        ("protocol",),
        "rdp-connection",
        mark="security_protocol",
    ),
    "ssh": Log(
        {"auth_attempts": "zeek.ssh.auth_attempts", "client": "zeek.ssh.client", "server": "zeek.ssh.server"},
        ("network", "authentication"),
        ("protocol",),
        "ssh-login",
        mark="auth_attempts",
    ),
    "kerberos": Log(
        {
            "request_type": "zeek.kerberos.request_type",
            "client": "user.name",
            "service": "zeek.kerberos.service",
            "error_msg": "zeek.kerberos.error",
            "cipher": "zeek.kerberos.cipher",
        },
        ("network", "authentication"),
        ("protocol",),
        "kerberos-ticket",
        mark="request_type",
    ),
    "ntlm": Log(
        {"username": "user.name", "hostname": "source.domain", "domainname": "user.domain"},
        ("network", "authentication"),
        ("protocol",),
        "ntlm-login",
        mark="domainname",
    ),
    "radius": Log(
        {"username": "user.name", "mac": "source.mac", "framed_addr": "client.ip", "result": "zeek.radius.result"},
        ("network", "authentication"),
        ("protocol",),
        "radius-login",
        mark="framed_addr",
    ),
    "files": Log(
        {
            "filename": "file.name",
            "mime_type": "file.mime_type",
            "seen_bytes": "file.size",
            "md5": "file.hash.md5",
            "sha1": "file.hash.sha1",
            "sha256": "file.hash.sha256",
            "source": "network.protocol",
        },
        ("file", "network"),
        ("info",),
        "file-transfer",
        mark="fuid",
    ),
    "x509": Log(
        {
            "certificate.subject": "tls.server.subject",
            "certificate.issuer": "tls.server.issuer",
            "certificate.serial": "zeek.x509.serial",
            "san.dns": "zeek.x509.dns",
        },
        action="certificate-seen",
        mark="certificate.subject",
    ),
    "notice": Log(
        {"note": "rule.name", "actions": "zeek.notice.actions"},
        ("intrusion_detection", "network"),
        action="intrusion-detected",
        mark="note",
    ),
    "weird": Log({"name": "zeek.weird.name"}, type=("protocol", "error"), action="protocol-anomaly", mark="notice"),
}
