"""``wardwatch users``: the console's accounts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dashboards import audit
from dashboards.auth.people import People, Role, new_person
from dashboards.auth.sessions import Sessions
from wardwatch.errors import Conflict
from wardwatch.settings import load
from wardwatch.store import Store, open_store
from wardwatch.text import safe_text

_ACTOR = "command line"
users = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, add_completion=False)
Name = Annotated[str, typer.Argument(help="The name to sign in with: a-z, 0-9 and . _ @ -")]


@users.callback()
def accounts() -> None:
    """Accounts of the console: add, list, disable, password.

    A password is read from the terminal, or from standard input: it never stands on the command line.

    [bold]Example[/bold]: wardwatch users add lin --role analyst --tenant renai
    """


@contextmanager
def opened() -> Iterator[Store]:
    """Open the store of the settings, set up."""
    store = open_store(load().store_url)
    try:
        store.setup()
        yield store
    finally:
        store.close()


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


@users.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    tenant: Annotated[list[str] | None, typer.Option(help="A hospital to see; none given: all. Repeatable.")] = None,
    display: Annotated[str, typer.Option(help="The name that colleagues see.")] = "",
    lang: Annotated[str, typer.Option(help="en or zh; default: the browser's.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an account of this name.")] = False,
) -> None:
    """Add an account.

    [bold]Examples[/bold]: wardwatch users add lin --role analyst

    printf 'a long passphrase\\n' | wardwatch users add zhou --role viewer --tenant zhongxin
    """
    person = new_person(name, _password(), role, tenant or [], display=display, lang=lang)
    with opened() as store:
        try:
            People(store).add(person)
        except Conflict:
            if not replace:
                raise
            People(store).replace(person)
        audit.record(store, _ACTOR, "user_add", user=name, role=role.value)
    typer.echo(f"{name} may sign in")


@users.command("list")
def show() -> None:
    """List the accounts.

    [bold]Example[/bold]: wardwatch users list
    """
    table = Table("name", "display", "roles", "tenants", "state")
    with opened() as store:
        for person in People(store).every():
            tenants = "all" if person.tenants is None else ", ".join(sorted(person.tenants))
            state = "disabled" if person.disabled else "active"
            table.add_row(person.name, safe_text(person.display), ", ".join(sorted(person.roles)), tenants, state)
    Console().print(table)


@users.command()
def disable(name: Name) -> None:
    """Refuse a person from the next request on.

    [bold]Example[/bold]: wardwatch users disable lin
    """
    with opened() as store:
        People(store).disable(name)
        audit.record(store, _ACTOR, "user_disable", user=name)
    typer.echo(f"{name} is disabled")


@users.command()
def password(name: Name) -> None:
    """Set a new password and end the person's sessions.

    [bold]Example[/bold]: wardwatch users password lin
    """
    with opened() as store:
        People(store).set_password(name, _password())
        Sessions(store, load().console.session_hours).close_all(name)
        audit.record(store, _ACTOR, "user_password", user=name)
    typer.echo(f"{name} has a new password")
