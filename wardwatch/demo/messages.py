"""Native bytes of the sources that the simulated hospitals have, as their systems would write them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

import orjson

from wardwatch.demo.hospital import Hospital, Machine, Patient


def hl7(at: datetime, *, hospital: Hospital, trigger: str, patient: Patient, staff: str, control: str) -> bytes:
    """Return an HL7 v2.5 ADT message (chapter 3) in UTF-8, without MLLP framing."""
    time = at.astimezone(hospital.zone).strftime("%Y%m%d%H%M%S")
    code = hospital.code
    born = patient.identity_number[6:14]
    vip = "VIP" if patient.vip else ""
    segments = (
        f"MSH|^~\\&|HIS|{code}|LIS|{code}|{time}||ADT^{trigger}|{control}|P|2.5|||||CHN|UNICODE UTF-8",
        f"EVN|{trigger}|{time}|||{staff}",
        f"PID|1||{patient.record_number}^^^{code}^MR~{patient.identity_number}^^^CN^NI||{patient.name}||{born}|M|||"
        f"健康路1号||{patient.phone}",
        f"PV1|1|I|{patient.ward}^01^02^{code}||||{staff}^主治医师|||||||||{vip}|||{patient.visit}",
    )
    return "\r".join(segments).encode() + b"\r"


def hl7_query(at: datetime, *, hospital: Hospital, patient: Patient, control: str) -> bytes:
    """Return an HL7 v2.5 patient query (QBP^Q21, chapter 3)."""
    time = at.astimezone(hospital.zone).strftime("%Y%m%d%H%M%S")
    segments = (
        f"MSH|^~\\&|HIS|{hospital.code}|MPI|{hospital.code}|{time}||QBP^Q21|{control}|P|2.5|||||CHN|UNICODE UTF-8",
        f"QPD|Q21^Get Person Demographics|{control}|{patient.record_number}^^^{hospital.code}^MR",
        "RCP|I",
    )
    return "\r".join(segments).encode() + b"\r"


_DICOM_NAMES = {"110103": "DICOM Instances Accessed", "110104": "DICOM Instances Transferred", "110112": "Query"}


def dicom_access(at: datetime, *, patient: Patient, staff: str, place: Machine, purpose: bool) -> bytes:
    """Return an audit message for instances looked at (DICOM PS3.15 A.5.3.5) in an RFC 5424 frame."""
    reason = (
        '<PurposeOfUse csd-code="TREAT" codeSystemName="2.16.840.1.113883.1.11.20448" originalText="treatment"/>'
        if purpose
        else ""
    )
    person = (
        f'<ActiveParticipant UserID={quoteattr(staff)} UserIsRequestor="true" NetworkAccessPointID="{place.ip}" '
        'NetworkAccessPointTypeCode="2"/>'
    )
    return _dicom(at, "110103", person, _dicom_objects(patient, 1), purpose=reason)


def dicom_transfer(
    at: datetime, *, patient: Patient, staff: str, pacs: Machine, to_ae: str, to_ip: str, instances: int
) -> bytes:
    """Return an audit message for a transfer (DICOM PS3.15 A.5.3.7) in an RFC 5424 frame."""
    people = (
        f'<ActiveParticipant UserID="{pacs.ae_title}" AlternativeUserID="AETITLE={pacs.ae_title}" '
        f'UserIsRequestor="false" NetworkAccessPointID="{pacs.ip}" NetworkAccessPointTypeCode="2">'
        '<RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source"/></ActiveParticipant>'
        f'<ActiveParticipant UserID="{to_ae}" AlternativeUserID="AETITLE={to_ae}" UserIsRequestor="false" '
        f'NetworkAccessPointID="{to_ip}" NetworkAccessPointTypeCode="2">'
        '<RoleIDCode csd-code="110152" codeSystemName="DCM" originalText="Destination"/></ActiveParticipant>'
        f'<ActiveParticipant UserID={quoteattr(staff)} UserIsRequestor="true"/>'
    )
    return _dicom(at, "110104", people, _dicom_objects(patient, instances))


def dicom_query(at: datetime, *, patient: Patient, staff: str, place: Machine) -> bytes:
    """Return an audit message for a query (DICOM PS3.15 A.5.3.10), whose base64 content names the patient."""
    query = b64encode(f"QPD|Q22|1|@PID.5.1^{patient.name}".encode()).decode()
    person = (
        f'<ActiveParticipant UserID={quoteattr(staff)} UserIsRequestor="true" NetworkAccessPointID="{place.ip}" '
        'NetworkAccessPointTypeCode="2"/>'
    )
    asked = (
        '<ParticipantObjectIdentification ParticipantObjectID="Q22" ParticipantObjectTypeCode="2" '
        'ParticipantObjectTypeCodeRole="24"><ParticipantObjectIDTypeCode csd-code="ITI-21" '
        'codeSystemName="IHE Transactions" originalText="Patient Demographics Query"/>'
        f"<ParticipantObjectQuery>{query}</ParticipantObjectQuery></ParticipantObjectIdentification>"
    )
    return _dicom(at, "110112", person, asked, action="E")


def _dicom(at: datetime, event: str, people: str, objects: str, *, action: str = "R", purpose: str = "") -> bytes:
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
        f'<EventIdentification EventActionCode="{action}" EventDateTime="{time}" EventOutcomeIndicator="0">'
        f'<EventID csd-code="{event}" codeSystemName="DCM" originalText="{_DICOM_NAMES[event]}"/>{purpose}'
        f"</EventIdentification>{people}"
        '<AuditSourceIdentification AuditSourceID="pacs1"><AuditSourceTypeCode csd-code="4"/>'
        f"</AuditSourceIdentification>{objects}</AuditMessage>"
    )
    return f"<85>1 {time} pacs1 archive 931 IHE+RFC-3881 - \ufeff{xml}".encode()


def _dicom_objects(patient: Patient, instances: int) -> str:
    sensitivity = ' ParticipantObjectSensitivity="VIP"' if patient.vip else ""
    return (
        f'<ParticipantObjectIdentification ParticipantObjectID="{patient.record_number}" '
        f'ParticipantObjectTypeCode="1" ParticipantObjectTypeCodeRole="1"{sensitivity}>'
        '<ParticipantObjectIDTypeCode csd-code="2" codeSystemName="RFC-3881" originalText="Patient Number"/>'
        f"<ParticipantObjectName>{patient.name}</ParticipantObjectName></ParticipantObjectIdentification>"
        f'<ParticipantObjectIdentification ParticipantObjectID="1.2.826.0.1.3680043.{patient.visit[1:]}" '
        'ParticipantObjectTypeCode="2" ParticipantObjectTypeCodeRole="3">'
        '<ParticipantObjectIDTypeCode csd-code="110180" codeSystemName="DCM" originalText="Study Instance UID"/>'
        f'<ParticipantObjectDescription><SOPClass UID="1.2.840.10008.5.1.4.1.1.2" NumberOfInstances="{instances}"/>'
        "</ParticipantObjectDescription></ParticipantObjectIdentification>"
    )


def windows(at: datetime, *, hospital: Hospital, host: Machine, channel: str, event: int, **data: str) -> bytes:
    """Return a Windows event as NXLog writes it: one flat JSON object (NXLog im_msvistalog, to_json)."""
    provider = {
        "Security": "Microsoft-Windows-Security-Auditing",
        "Microsoft-Windows-Sysmon/Operational": "Microsoft-Windows-Sysmon",
        "Microsoft-Windows-Windows Defender/Operational": "Microsoft-Windows-Windows Defender",
    }[channel]
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event_of = {"EventID": event, "Hostname": f"{host.name}.{hospital.tenant}.local", "Channel": channel}
    return orjson.dumps({"TimeCreated": time, "@timestamp": time, "SourceName": provider, **event_of, **data})


def linux(at: datetime, *, host: Machine, program: str, pid: int, text: str) -> bytes:
    """Return an RFC 5424 frame of facility authpriv, as rsyslog forwards it."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"<86>1 {time} {host.name} {program} {pid} - - {text}".encode()


def huawei_usg(at: datetime, *, hospital: Hospital, source: str, to: str, port: int, rule: str, permit: bool) -> bytes:
    """Return a policy log of a Huawei USG firewall (POLICY/6/POLICYPERMIT and POLICYDENY)."""
    time = at.astimezone(hospital.zone).strftime("%Y-%m-%d %H:%M:%S")
    brief = "POLICYPERMIT" if permit else "POLICYDENY"
    return (
        f"<190>{time} fw-{hospital.tenant} %%01POLICY/6/{brief}(l): vsys=public, protocol=6, source-ip={source}, "
        f"source-port={40000 + port % 9973}, destination-ip={to}, destination-port={port}, source-zone=trust, "
        f"destination-zone=untrust, application-name=, rule-name={rule}."
    ).encode()


def mysql_audit(at: datetime, *, hospital: Hospital, client: str, connection: int, sql: str) -> bytes:
    """Return a QUERY line of MariaDB's server_audit plugin (file format of its documentation)."""
    time = at.astimezone(hospital.zone).strftime("%Y%m%d %H:%M:%S")
    quoted = sql.replace("\\", "\\\\").replace("'", "\\'")
    return f"{time},his-db-02,hisapp,{client},{connection},{connection * 7},QUERY,his,'{quoted}',0".encode()
