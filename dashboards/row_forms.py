"""Forms of rows: an input for each field of the model that checks the row, named by its path (``calendar.opens``).

A field that is not there, and one that is as its model has it by default, are alike: rows hold what somebody decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from dashboards.service import Table
from enrich.notify import channels
from enrich.notify.kinds import Row
from enrich.notify.notice import Kind
from enrich.notify.routes import Contact, Escalation, Route, Shift
from wardwatch.alert import Severity
from wardwatch.event import Document
from wardwatch.service_levels import Policy

Widget = Literal["text", "number", "secret", "flag", "choice", "choices", "list", "time", "moment"]

MODELS: Final[dict[Table, type[BaseModel]]] = {
    "service_levels": Policy,
    "routes": Route,
    "escalations": Escalation,
    "on_call": Shift,
    "contacts": Contact,
}
"""Tables → the models of their rows; a channel's is that of its kind."""

_WIDGETS: Final[dict[Any, Widget]] = {
    bool: "flag",
    int: "number",
    str: "text",
    SecretStr: "secret",
    time: "time",
    datetime: "moment",
    AwareDatetime: "moment",
}
_NOT_ASKED: Final = frozenset({"by", "kind"})
_NOT_OFFERED: Final = frozenset({Kind.TRIAL})
_WORDS: Final[dict[Any, str]] = {Severity: "severity", Kind: "notice"}
_SPARE: Final = 2
"""Empty lines below those of a list of groups."""
_SEPARATOR: Final = re.compile(r"[\n,，;；]+")


@dataclass(frozen=True, slots=True)
class Input:
    """One field: its path, how it is asked for, and its values as text.

    ``words`` is the table of the catalogue that has the choices; ``given`` tells whether the row has the field.
    """

    name: str
    widget: Widget
    values: Sequence[str]
    given: bool
    required: bool
    choices: Sequence[str] = ()
    words: str = ""

    @property
    def label(self) -> str:
        """The name of the field in its group."""
        return self.name.rpartition(".")[2]

    @property
    def group(self) -> str:
        """The path of the group that the field is in, "" for those of the row."""
        return self.name.rpartition(".")[0]

    @property
    def text(self) -> str:
        """What is in the input, a list by lines."""
        return "\n".join(self.values)

    def is_named_by(self, reason: str) -> bool:
        """Tell whether why a row was refused begins with this field or a part of it."""
        return (reason.partition(":")[0] + ".").startswith(f"{self.name}.")


def model_of(table: Table, kind: str) -> type[BaseModel]:
    """Return the model of a table's rows, or of a channel of that kind, the first one for a kind that is none."""
    if table != "channels":
        return MODELS[table]
    found: type[BaseModel] = channels.KINDS.get(kind, next(iter(channels.KINDS.values()))).Row
    return found


def inputs(model: type[BaseModel], row: Document, zone: tzinfo, *, spare: int = _SPARE) -> list[Input]:
    """Return the inputs of a row, with ``spare`` empty groups below those of a list; moments are in the zone."""
    return list(_inputs(model, row, zone, spare, ""))


def read(model: type[BaseModel], form: Mapping[str, Sequence[str]], zone: tzinfo) -> Document:
    """Return the row that a form has; what is no number or moment stays as it was typed, for the check to refuse."""
    return dict(_read(model, form, zone, ""))


def _inputs(model: type[BaseModel], row: Document, zone: tzinfo, spare: int, path: str) -> Iterator[Input]:
    for name, field, kind in _fields(model):
        part, value = f"{path}{name}", row.get(name)
        if inner := _group(kind):
            yield from _inputs(inner, value if isinstance(value, dict) else {}, zone, spare, f"{part}.")
        elif inner := _groups(kind):
            rows = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
            for place, each in enumerate(rows + [None] * spare):
                empty = each is None and (place > 0)
                for one in _inputs(inner, each or {}, zone, spare, f"{part}.{place}."):
                    yield one if not empty else Input(one.name, one.widget, (), False, False, one.choices, one.words)
        else:
            yield _input(part, kind, field, value, zone)


def _input(path: str, kind: Any, field: FieldInfo, value: Any, zone: tzinfo) -> Input:
    choices, words = _choices(path.rpartition(".")[2], kind)
    shown = value if value is not None else _default(kind, field)
    return Input(
        name=path,
        widget=_widget(kind),
        values=_texts(kind, shown, zone),
        given=value is not None,
        required=field.is_required(),
        choices=choices,
        words=words,
    )


def _read(
    model: type[BaseModel], form: Mapping[str, Sequence[str]], zone: tzinfo, path: str
) -> Iterator[tuple[str, Any]]:
    for name, field, kind in _fields(model):
        part = f"{path}{name}"
        if inner := _group(kind):
            value: Any = dict(_read(inner, form, zone, f"{part}."))
        elif inner := _groups(kind):
            each = (dict(_read(inner, form, zone, f"{part}.{place}.")) for place in _places(form, part))
            value = list(filter(None, each))
        else:
            value = _value(kind, form.get(part, ()), zone)
            if _texts(kind, value, zone) == _texts(kind, _default(kind, field), zone):
                continue
        if value not in ("", [], {}):
            yield name, value


def _places(form: Mapping[str, Sequence[str]], path: str) -> list[int]:
    """Return which groups of a list the form has."""
    found = (re.match(rf"{re.escape(path)}\.(\d{{1,3}})\.", key) for key in form)
    return sorted({int(each[1]) for each in found if each})


def _value(kind: Any, typed: Sequence[str], zone: tzinfo) -> Any:
    first = typed[0].strip() if typed else ""
    match _widget(kind):
        case "flag":
            return bool(typed)
        case "number":
            return _number(first)
        case "choices":
            return [_number(each) for each in typed]
        case "list":
            return [each.strip() for each in _SEPARATOR.split(first) if each.strip()]
        case "moment":
            with suppress(ValueError):
                moment = datetime.fromisoformat(first)
                return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()
    return first


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _texts(kind: Any, value: Any, zone: tzinfo) -> list[str]:
    widget = _widget(kind)
    if widget == "flag":
        return ["on"] if value is True else []
    if widget in ("choices", "list"):
        return [str(each) for each in value] if isinstance(value, list) else []
    text = "" if value is None else str(value)
    if widget == "moment":
        with suppress(ValueError):
            return [datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%dT%H:%M")]
    return [text[:5] if widget == "time" else text]


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, Any]]:
    # what every channel has comes last
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] in Row.model_fields):
        if name not in _NOT_ASKED:
            yield name, field, _plain(field.annotation)


def _plain(annotation: Any) -> Any:
    """Return the type without what is annotated and without "or None"."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation


def _default(kind: Any, field: FieldInfo) -> Any:
    """Return the default as JSON has it, lists in the order of their choices; None for a field without one."""
    if field.is_required() or field.default is None:
        return None
    value = TypeAdapter(kind).dump_python(field.get_default(call_default_factory=True), mode="json")
    return sorted(value, key=_order(kind).index) if _widget(kind) == "choices" else value


def _group(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _groups(kind: Any) -> type[BaseModel] | None:
    return _group(_item(kind)) if get_origin(kind) is tuple else None


def _item(kind: Any) -> Any:
    return _plain(get_args(kind)[0])


def _order(kind: Any) -> list[Any]:
    """Return the choices of a set of values as JSON has them."""
    item = _item(kind)
    if isinstance(item, type) and issubclass(item, Enum):
        return [each.value for each in item if each not in _NOT_OFFERED]
    constraints = [each for field in get_args(get_args(kind)[0])[1:] for each in field.metadata]
    least, most = (next(getattr(each, bound) for each in constraints if hasattr(each, bound)) for bound in ("ge", "le"))
    return list(range(least, most + 1))


def _widget(kind: Any) -> Widget:
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return "choice"
    if get_origin(kind) is tuple or (get_origin(kind) is frozenset and _item(kind) is date):
        return "list"
    return "choices" if get_origin(kind) is frozenset else _WIDGETS[kind]


def _choices(name: str, kind: Any) -> tuple[list[str], str]:
    if _widget(kind) == "choices":
        return [str(each) for each in _order(kind)], _WORDS.get(_item(kind), f"choice_{name}")
    if _widget(kind) == "choice":
        values = get_args(kind) or [each.value for each in kind]
        return [str(each) for each in values], _WORDS.get(kind, f"choice_{name}")
    return [], ""
