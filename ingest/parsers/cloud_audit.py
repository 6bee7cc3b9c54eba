"""What calls of cloud providers' interfaces mean, told by the verb that their names start with."""

from __future__ import annotations

import re

from ingest.parsers.fields import classify
from wardwatch.event import Document

_VERB = re.compile(r"[A-Z]?[a-z]+")
_KINDS = {
    **dict.fromkeys(("create", "put", "add", "run", "import", "upload", "register", "allocate", "copy"), "creation"),
    **dict.fromkeys(("delete", "remove", "terminate", "release", "deregister", "purge", "destroy"), "deletion"),
    **dict.fromkeys(("get", "list", "describe", "head", "query", "lookup", "download", "search", "inquire"), "access"),
}
_IDENTITY = re.compile(r"^(?:iam|ram|cam|sts|sso|identity)|console|signin", re.I)
_OBJECTS = re.compile(r"^(?:s3|oss|cos)(?:\.|$)", re.I)
_DATABASES = re.compile(r"^(?:rds|dynamodb|redshift|polardb|cdb|tencentdb)", re.I)


def call(doc: Document, name: str, service: str, *, failed: bool) -> None:
    """Set the categories of a call ``name`` of a ``service``."""
    outcome = "failure" if failed else "success"
    if re.search(r"(?:Console)?(?:Login|Signin|SignIn)$", name):
        classify(doc, "authentication", "info" if failed else "start", name, outcome)
        return
    if re.search(r"(?:Logout|Signout|SignOut)$", name):
        classify(doc, "authentication", "end", name, outcome)
        return
    verb = _VERB.match(name)
    kind = _KINDS.get(verb[0].lower() if verb else "", "change")
    classify(doc, _category(service), kind, name, outcome)


def _category(service: str) -> str:
    if _IDENTITY.search(service):
        return "iam"
    if _OBJECTS.search(service):
        return "file"
    return "database" if _DATABASES.search(service) else "configuration"
