"""``wardwatch rules new``."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from detections import drafting
from detections.drafting import Answers
from wardwatch.alert import Severity
from wardwatch.text import safe_text

_NAME = re.compile(r"[a-z][a-z0-9_]{9,85}")  # as pySigma's validators want file names


def new(
    name: Annotated[str, typer.Argument(help="Name of the file, such as mysql_night_export.")],
    folder: Annotated[Path, typer.Option("--in", help="Folder to write to.")] = Path(),
    source: Annotated[str, typer.Option(help=f"What writes the events: {', '.join(drafting.EXAMPLES)}.")] = "",
    title: Annotated[str, typer.Option(help="What the alert is called in English.")] = "",
    title_zh: Annotated[str, typer.Option(help="What the alert is called in Chinese.")] = "",
    field: Annotated[str, typer.Option(help="Field that the rule looks at.")] = "",
    value: Annotated[str, typer.Option(help="Value that it looks for.")] = "",
    level: Annotated[Severity, typer.Option(help="How bad it is.")] = Severity.MEDIUM,
    author: Annotated[str, typer.Option(help="Who answers for it.")] = "",
) -> None:
    """Write a rule and the tests beside it; asks for what is not given.

    Both pass check and test as they are, on an example event of the source: make the detection and the events yours.

    \b
    Examples:
      wardwatch rules new mysql_night_export
      wardwatch rules new linux_root_by_key --source linux --field sshd.method --value publickey \\
        --title "Root logs in by key" --title-zh "root 密钥登录" --author me --in my-rules
    """
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("10 to 86 of a-z, 0-9 and _, such as mysql_night_export", param_hint="NAME")
    source = source or _asked("source", "linux")
    if source not in drafting.EXAMPLES:
        raise typer.BadParameter(f"{source!r} is none of {', '.join(drafting.EXAMPLES)}", param_hint="--source")
    _, event = drafting.example(source)
    field = field or _asked(f"field ({', '.join(event)})", "event.action")
    answers = Answers(
        title=title or _asked("title", name.replace("_", " ").capitalize()),
        title_zh=title_zh or _asked("title in Chinese", name),
        source=source,
        field=field,
        value=value or _asked(f"value of {field}", _written(event.get(field, "example"))),
        level=level.value,
        author=author or _asked("author", "wardwatch"),
    )
    try:
        rule, tests = drafting.write(folder, name, *drafting.draft(answers, datetime.now(UTC).date()))
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="NAME") from None
    typer.echo(safe_text(f"{rule}\n{tests}\nnext: wardwatch rules check {rule} && wardwatch rules test {rule}"))


def _written(value: object) -> str:
    """Return an example's value as a rule has it: of a list its first, true and false as YAML writes them."""
    first = value[0] if isinstance(value, list) else value
    return str(first).lower() if isinstance(first, bool) else str(first)


def _asked(what: str, default: str) -> str:
    """Ask on a terminal; elsewhere take the default."""
    return str(typer.prompt(what, default=default, err=True)) if sys.stdin.isatty() else default
