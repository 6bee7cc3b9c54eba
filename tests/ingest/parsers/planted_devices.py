"""Records of devices and network services with an identity in every place where a person can put one."""

from __future__ import annotations

from urllib.parse import quote

import orjson


def planted(name: str, identity: str, phone: str, record: str, staff: str) -> dict[str, tuple[str, bytes]]:
    """Return a source and a record by description."""
    words = f"{name} {identity} {phone} {record} {staff}"
    url = f"/api/patient/{quote(name)}/{record}?name={quote(name)}&id={identity}&tel={phone}&q={name}&by={staff}#{name}"
    agent = f"Mozilla/5.0 {name} {phone} {identity}"
    file = f"C:\\Users\\{staff}\\{name}{identity}.docx"
    return {
        "cef": (
            "cef",
            f"<134>Mar  1 02:11:09 av CEF:0|V|P|1|9|virus|8|src=10.3.1.5 suser={staff} duser=HOSP\\{staff} "
            f"shost={staff} msg={words} reason={words} request={url} requestContext=http://h/{name}?a={words} "
            f"requestClientApplication={agent} requestCookie={words} filePath={file} fname={name}.doc "
            f"cs1={words} cs1Label={name} act=block".encode(),
        ),
        "leef": (
            "leef",
            f"LEEF:2.0|V|P|1|login|^|src=10.3.1.5^usrName={staff}^identHostName={staff}^url={url}^msg={words}"
            f"^{name}={words}".encode(),
        ),
        "suricata": (
            "suricata",
            orjson.dumps(
                {
                    "timestamp": "2026-03-01T02:11:09.000000+0800",
                    "event_type": "alert",
                    "src_ip": "10.3.1.5",
                    "payload_printable": words,
                    "alert": {"signature": "x", "metadata": {"m": [words]}},
                    "http": {"url": url, "http_user_agent": agent, "http_refer": f"http://h{url}", "cookie": words},
                    "smtp": {"mail_from": words},
                    "email": {"subject": words, "attachment": [name]},
                    "fileinfo": {"filename": f"/{name}/{identity}.doc"},
                    "tls": {"subject": f"CN={name}, serial={identity}"},
                    "dhcp": {"hostname": staff},
                }
            ),
        ),
        "zeek in JSON": (
            "zeek",
            orjson.dumps(
                {
                    "_path": "http",
                    "ts": 1772302269.0,
                    "id.orig_h": "10.3.1.5",
                    "uri": url,
                    "referrer": f"http://h{url}",
                    "user_agent": agent,
                    "username": staff,
                    "password": words,
                    "orig_filenames": [words],
                }
            ),
        ),
        "zeek of SQL": (
            "zeek",
            orjson.dumps(
                {
                    "_path": "mysql",
                    "ts": 1772302269.0,
                    "cmd": "query",
                    "arg": f"select * from t where a='{name}' and b={identity} -- {words}",
                    "response": words,
                    "success": True,
                }
            ),
        ),
        "zeek, tab-separated": (
            "zeek",
            "#separator \\x09\n#path\tsmb_files\n#fields\tts\tpath\tname\tprev_name\n"
            "#types\ttime\tstring\tstring\tstring\n"
            f"1772302269.0\t\\\\s\\{name}\t{name}\\{identity}.doc\t{words}".encode(),
        ),
        "h3c": (
            "h3c",
            f"<190>Mar  1 02:11:09 2026 FW %%10UFLT/6/UFLT_MATCH_IPV4_LOG: SrcIPAddr(1003)=10.3.1.5;"
            f"UserName(1113)={staff};URL(1093)=his.example{url};FileName(1097)={name}.doc;Other(1)={words};".encode(),
        ),
        "h3c in GBK": (
            "h3c",
            f"<190>Mar  1 02:11:09 2026 FW %%10SHELL/6/SHELL_CMD: -Line=vty0-IPAddr=10.3.9.14-User={staff}; "
            f'Command is description "{words}" {name}'.encode("gbk"),
        ),
        "sangfor_af": (
            "sangfor_af",
            f"<134>Mar  1 02:11:09 h fwlog: 日志类型:病毒查杀, 用户:{staff}, 源IP:10.3.1.5, "
            f"文件名:{name}{identity}.doc, "
            f"描述:{words}, 系统动作:拒绝, URL:his.example{url}".encode("gbk"),
        ),
        "sangfor_atrust": (
            "sangfor_atrust",
            b"<150>Mar  1 02:11:09 h sdp-proxy@userProxyLog[1]: "
            + orjson.dumps(
                {
                    "actor": {
                        "name": staff,
                        "displayName": name,
                        "phoneNumber": phone,
                        "email": words,
                        "description": words,
                        "groupPath": name,
                        "domain": name,
                    },
                    "src": {"ip": "10.3.1.5", "dvc": {"hostname": name}, "client": {"httpUserAgent": agent}},
                    "event": {
                        "mainType": name,
                        "subType": "user.access",
                        "timestamp": 1772302269501,
                        "result": "SUCCESS",
                        "reason": f"姓名：{name} {identity} {phone}",
                        "details": words,
                    },
                    "target": {"type": name, "name": words, "details": words},
                    "network": {
                        "app": {"name": name},
                        "web": {"reqUrl": f"http://h{url}", "reqReferer": f"http://h{url}"},
                    },
                    "vendor": {"product": "aTrust", "sourceName": name},
                }
            ),
        ),
        "topsec": (
            "topsec",
            f'id=tos time="2026-03-01 02:11:09" fw=T pri=5 type=mgmt user={staff} src=10.3.9.14 op="Modify" result=0 '
            f'url="{url}" file_name="{name}.doc" msg="{words}" other="{words}"'.encode(),
        ),
        "fortigate": (
            "fortigate",
            f'date=2026-03-01 time=02:11:09 type="utm" subtype="virus" srcip=10.3.1.5 srcname="{staff}" user="{staff}" '
            f'action="blocked" url="{url}" agent="{agent}" filename="{name}{identity}.doc" msg="{words}" '
            f'from="{words}" to="{words}" subject="{words}" cfgobj="{name}"'.encode(),
        ),
        "paloalto": (
            "paloalto",
            (
                "1,2026/03/01 02:14:10,01,THREAT,url,1,2026/03/01 02:14:09,10.3.1.5,203.0.113.90,0.0.0.0,0.0.0.0,r,"
                f"hosp\\{staff},{staff},web,v,t,u,e,e,f,,1,1,1,80,0,0,0x0,tcp,block-url,"
                f'"his.example{url}",(9999),games,low,c,1,0x0,a,b,,t,0,,,1,"{agent}",,"{words}","http://h{url}",'
                f"{words},{words},{words},0,34,0,0,0,,pa,,,,,GET,{words}"
            ).encode(),
        ),
        "cisco_asa": (
            "cisco_asa",
            f"<165>Mar  1 2026 02:15:09 asa : %ASA-5-111010: User '{staff}', running 'CLI' from IP 10.3.9.14, "
            f"executed 'name 10.1.1.1 description \"{words}\" {name}' {words}".encode(),
        ),
        "nginx": (
            "nginx",
            f'10.3.1.5 - {staff} [01/Mar/2026:02:11:09 +0800] "GET {url} HTTP/1.1" 200 5 "http://h{url}" '
            f'"{agent}"'.encode(),
        ),
        "nginx's errors": (
            "nginx",
            f'2026/03/01 02:15:09 [error] 931#931: *57 open() "/var/{name}" failed ({words}), client: 10.3.1.5, '
            f'server: h, request: "GET {url} HTTP/1.1", host: "h", referrer: "http://h{url}"'.encode(),
        ),
        "nginx with escaped bytes": (
            "nginx",
            b'10.3.1.5 - - [01/Mar/2026:02:11:09 +0800] "GET /'
            + "".join(f"\\x{byte:02X}" for byte in name.encode()).encode()
            + b' HTTP/1.1" 200 5 "-" "-"',
        ),
        "tomcat": (
            "tomcat",
            f'10.3.1.5 - {staff} [01/Mar/2026:02:11:09 +0800] "POST {url} HTTP/1.1" 200 5'.encode("gbk"),
        ),
        "safeline": (
            "safeline",
            orjson.dumps(
                {
                    "event_id": "a",
                    "req_start_time": 1772302269749,
                    "urlpath": f"/patient/{name}/{record}",
                    "query_string": f"name={quote(name)}&id={identity}&{words}",
                    "req_payload": words,
                    "body": words,
                    "cookie": words,
                    "user_agent": agent,
                    "referer": f"http://h{url}",
                    "session": words,
                }
            ),
        ),
        "modsecurity in JSON": (
            "modsecurity",
            orjson.dumps(
                {
                    "transaction": {
                        "time_stamp": "Sun Mar  1 02:11:09 2026",
                        "request": {
                            "uri": url,
                            "method": "POST",
                            "body": words,
                            "headers": {"User-Agent": agent, "Cookie": words, "Referer": f"http://h{url}"},
                        },
                        "response": {"http_code": 200, "body": words},
                        "messages": [{"message": "x", "details": {"ruleId": "1", "data": words, "match": words}}],
                    }
                }
            ),
        ),
        "modsecurity in parts": (
            "modsecurity",
            f"--a1b2c3d4-A--\n[01/Mar/2026:02:11:09 +0800] X1 10.3.1.5 1 10.9.7.7 80\n"
            f"--a1b2c3d4-B--\nPOST {url} HTTP/1.1\n"
            f"User-Agent: {agent}\nCookie: {words}\n\n--a1b2c3d4-C--\n{words}\n--a1b2c3d4-H--\n"
            f'Message: x [id "1"] [data "{words}"]\n\n--a1b2c3d4-Z--\n'.encode(),
        ),
        "jumpserver": (
            "jumpserver",
            b"jumpserver: session_command_log - "
            + orjson.dumps(
                {
                    "user": f"{name}({staff})",
                    "account": f"{name}({staff})",
                    "input": f"mysql -e \"select '{words}'\" {name} {identity}",
                    "output": words,
                    "filename": f"/home/{staff}/{name}.doc",
                    "user_agent": agent,
                    "reason": words,
                    "resource": words,
                    "diff": words,
                    "timestamp": 1772302389,
                }
            ),
        ),
        "ms_dhcp": (
            "ms_dhcp",
            f"10,03/01/26,02:11:09,{words},10.3.1.5,{staff},001631EC17C4,{name},0,0,{words}".encode(),
        ),
        "dnsmasq": ("dnsmasq", f"Mar  1 02:11:09 gw dnsmasq[1]: query[A] {name}.{identity} from 10.3.1.5".encode()),
        "dnsmasq's leases": (
            "dnsmasq",
            f"Mar  1 02:11:09 gw dnsmasq-dhcp[1]: DHCPACK(eth0) 10.3.1.5 00:16:31:ec:17:c4 {staff}".encode(),
        ),
        "bind": (
            "bind",
            f"01-Mar-2026 02:11:09.123 client 10.3.1.5#1 ({name}): query: {name}.{identity} IN A + (10.9.1.1)".encode(),
        ),
        "freeradius": (
            "freeradius",
            f"Sun Mar  1 02:12:09 2026 : Auth: (6) Login incorrect ({words}): "
            f"[{staff}/{identity}] (from client ap port 0)".encode(),
        ),
        "cisco_ise": (
            "cisco_ise",
            "CISE_Failed_Attempts 1 1 0 2026-03-01 02:12:09.085 +08:00 1 5400 NOTICE RADIUS: "
            f"{words}, UserName={staff}, User-Name={staff}, Response={words}, Step={words}, "
            f"{name}={identity}, AdminName={staff}".encode(),
        ),
        "cloudtrail": (
            "cloudtrail",
            orjson.dumps(
                {
                    "eventName": "CreateUser",
                    "eventSource": "iam.amazonaws.com",
                    "eventTime": "2026-03-01T02:11:09Z",
                    "userAgent": agent,
                    "userIdentity": {"userName": staff, "arn": f"arn:aws:iam::1:user/{staff}", "principalId": staff},
                    "requestParameters": {"userName": staff, "tags": [words], "name": name},
                    "responseElements": {"user": words},
                    "errorMessage": words,
                }
            ),
        ),
        "actiontrail": (
            "actiontrail",
            orjson.dumps(
                {
                    "eventName": "CreateUser",
                    "serviceName": "Ram",
                    "eventTime": "2026-03-01T02:11:09Z",
                    "userAgent": agent,
                    "userIdentity": {"type": "ram-user", "userName": staff},
                    "requestParameters": {"Name": words},
                    "responseElements": {"user": words},
                    "errorMessage": words,
                    "additionalEventData": {"loginAccount": staff},
                }
            ),
        ),
        "cloudaudit": (
            "cloudaudit",
            orjson.dumps(
                {
                    "EventName": "CreateUser",
                    "EventTime": "2026-03-01 02:11:09",
                    "Username": staff,
                    "Resources": {"ResourceName": words},
                    "CloudAuditEvent": orjson.dumps(
                        {"userIdentity": {"userName": staff}, "requestParameters": words, "userAgent": agent}
                    ).decode(),
                }
            ),
        ),
        "s3_access": (
            "s3_access",
            f"o b [28/Feb/2026:18:11:09 +0000] 10.3.1.5 arn:aws:iam::1:user/{staff} R REST.GET.OBJECT "
            f"{quote(name)}/{identity}.zip "
            f'"GET {url} HTTP/1.1" 200 - 1 1 1 1 "http://h{url}" "{agent}" -'.encode(),
        ),
        "vcenter": (
            "vcenter",
            "Event [1] [1-1] [2026-03-01T02:11:09Z] [vim.event.UserLoginSessionEvent] [info] "
            f"[HOSP\\{staff}] [] [1] [User HOSP\\{staff}@10.3.9.14 {words}]".encode(),
        ),
        "oss_access": (
            "oss_access",
            orjson.dumps(
                {
                    "operation": "GetObject",
                    "bucket": "b",
                    "__time__": 1772302269,
                    "requester_id": staff,
                    "object": f"{quote(name)}/{identity}.zip",
                    "request_uri": url,
                    "referer": f"http://h{url}",
                    "user_agent": agent,
                    "access_id": words,
                }
            ),
        ),
        "cos_access": (
            "cos_access",
            f"1.0 b-1 ap-x 2026-02-28T18:11:09Z h GetObject 10.3.1.5 {quote(words)} - 1 0 "
            f"/{quote(name)}/{identity}.zip GET {quote(agent)} 200 - {quote(words)} 1 1 USER "
            f'STANDARD 1 1 1:{staff} r 1 - - http://h{url} "GET {url} HTTP/1.1"'.encode(),
        ),
        "cos_access in JSON": (
            "cos_access",
            orjson.dumps(
                {
                    "eventName": "PutObject",
                    "eventTime": "2026-02-28T18:11:09Z",
                    "bucketName": "b-1",
                    "resHttpCode": "200",
                    "resErrorMsg": words,
                    "reqPath": f"/{name}/{identity}.zip",
                    "requestUri": url,
                    "referer": f"http://h{url}",
                    "userAgent": agent,
                    "requester": f"1:{staff}",
                    "userSecretKeyId": words,
                }
            ),
        ),
        "api_gateway": (
            "api_gateway",
            orjson.dumps(
                {
                    "started_at": 1772302269123,
                    "request": {
                        "method": "POST",
                        "uri": url,
                        "url": f"http://h{url}",
                        "querystring": {"name": name},
                        "body": words,
                        "headers": {"user-agent": agent, "referer": f"http://h{url}", "cookie": words},
                    },
                    "response": {"status": 200, "body": words},
                    "consumer": {"username": staff, "custom_id": staff},
                }
            ),
        ),
    }
