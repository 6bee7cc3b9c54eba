"""What the codes of DICOM audit messages mean in the Elastic Common Schema (DICOM PS3.15 A.5 and PS3.16)."""

from __future__ import annotations

Meaning = tuple[list[str], list[str], str]
"""Categories, types and action of an event; without types, EventActionCode says which."""

BY_ACTION_CODE = {"C": "creation", "R": "access", "U": "change", "D": "deletion", "E": "access"}
OUTCOMES = {0: "success", 4: "failure", 8: "failure", 12: "failure"}

# by EventID (PS3.15 A.5.3; PS3.16 CID 400)
EVENTS: dict[str, Meaning] = {
    "110100": (["process"], ["info"], "dicom-application-activity"),
    "110101": (["file"], ["access"], "dicom-audit-log-used"),
    "110102": (["network", "file"], [], "dicom-transfer-started"),
    "110103": (["file"], [], "dicom-instances-accessed"),
    "110104": (["network", "file"], [], "dicom-instances-transferred"),
    "110105": (["file"], ["deletion"], "dicom-study-deleted"),
    "110106": (["file"], ["access"], "dicom-export"),
    "110107": (["file"], ["creation"], "dicom-import"),
    "110108": (["network"], ["connection"], "dicom-network-entry"),
    "110109": (["database"], [], "dicom-order-record"),
    "110110": (["database"], [], "dicom-patient-record"),
    "110111": (["database"], [], "dicom-procedure-record"),
    "110112": (["database"], ["access"], "dicom-query"),
    "110113": (["intrusion_detection"], ["info"], "dicom-security-alert"),
    "110114": (["authentication"], ["info"], "dicom-user-authentication"),
}
# EventTypeCode, where it says more than the EventID (PS3.16 CID 401 to 403)
EVENT_TYPES: dict[str, Meaning] = {
    "110120": (["process"], ["start"], "dicom-application-start"),
    "110121": (["process"], ["end"], "dicom-application-stop"),
    "110122": (["authentication"], ["start"], "dicom-login"),
    "110123": (["authentication"], ["end"], "dicom-logout"),
    "110124": (["network"], ["connection", "start"], "dicom-network-attach"),
    "110125": (["network"], ["connection", "end"], "dicom-network-detach"),
    "110126": (["authentication", "network"], ["denied"], "dicom-node-authentication"),
    "110127": (["iam"], ["admin"], "dicom-emergency-override-start"),
    "110128": (["configuration"], ["change"], "dicom-network-configuration"),
    "110129": (["configuration"], ["change"], "dicom-security-configuration"),
    "110130": (["configuration"], ["change"], "dicom-hardware-configuration"),
    "110131": (["configuration"], ["change"], "dicom-software-configuration"),
    "110132": (["iam"], ["admin"], "dicom-restricted-function"),
    "110133": (["configuration"], ["change"], "dicom-audit-stop"),
    "110134": (["configuration"], ["change"], "dicom-audit-start"),
    "110135": (["iam"], ["change"], "dicom-object-attributes-changed"),
    "110136": (["iam"], ["change"], "dicom-security-roles-changed"),
    "110137": (["iam"], ["change"], "dicom-user-attributes-changed"),
    "110138": (["iam"], ["admin"], "dicom-emergency-override-stop"),
    "110139": (["configuration"], ["access"], "dicom-remote-service-start"),
    "110140": (["configuration"], ["access"], "dicom-remote-service-stop"),
    "110141": (["configuration"], ["access"], "dicom-local-service-start"),
    "110142": (["configuration"], ["access"], "dicom-local-service-stop"),
    "ASSOCIATION-FAILURE": (["network"], ["connection", "denied"], "dicom-association-rejected"),  # dcm4chee
}
OVERRIDES = frozenset(("110127", "110138"))
SENSITIVITY = {
    "VIP": "vip",
    "N": "normal",
    "NORMAL": "normal",
    "R": "restricted",
    "RESTRICTED": "restricted",
    "V": "very_restricted",
    "VERY RESTRICTED": "very_restricted",
}
