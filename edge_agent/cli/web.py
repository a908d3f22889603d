"""``edge-agent web``: passwords, tokens and the address of the microscope page."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.access_change import ACCESS_NAME, change_access, current_passwords
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.page_address import show_address
from edge_agent.cli.prompts import ask
from edge_agent.cli.service_unit import restart_service
from edge_agent.cli.state_folder import ConfigOption
from edge_agent.cli.terminal import errors, output
from edge_agent.config import load_config, system_config
from edge_agent.credentials import CREDENTIALS
from edge_agent.errors import ConfigError, InputEnded, WebMissing
from edge_agent.web.access.access_file import new_token, token_digest

web = typer.Typer(help="Set passwords and tokens of the microscope page, and print its address.", no_args_is_help=True)


class RoleName(StrEnum):
    """Who may do what on the page."""

    LOOK = "look"
    WORK = "work"
    ADMINISTER = "administer"


RoleOption = Annotated[
    RoleName,
    typer.Option("--role", help="look: see everything; work: also give commands; administer: also change the model."),
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="The access file to write. Default: the one that the device's configuration names.",
        metavar="FILE",
        parser=expand_path,
    ),
]


@web.command()
def password(role: RoleOption, file: FileOption = None) -> None:
    """Set a role's password.

    Asks for it twice without showing it; without a terminal, it is one line of the input. The file keeps a hash only.
    """
    try:
        from edge_agent.web.access.passwords import hash_password, password_problem, role_of_password
    except ImportError as error:
        raise WebMissing(f"Passwords cannot be hashed: {error}.") from error
    path = _access_file(file)
    others = {name: known for name, known in current_passwords(path).items() if name != role.value}

    def problem(typed: str) -> str | None:
        found = password_problem(typed)
        if found is None and (taken := role_of_password(typed, others)) is not None:
            # The password alone decides the role.
            return f"The role '{taken}' has this password already. Choose another one."
        return found

    typed = _ask_twice(problem) if sys.stdin.isatty() else _read_line(problem)
    change_access(path, role.value, "password", hash_password(typed))
    output.print(f"The password of '{role.value}' is set.", markup=False)
    _put_in_force(path)


@web.command()
def token(role: RoleOption, file: FileOption = None) -> None:
    """Make a new token for a role, for programs, and print it once.

    It replaces the role's old token. The file keeps a digest only.
    """
    path = _access_file(file)
    made = new_token()
    change_access(path, role.value, "token", token_digest(made))
    sys.stdout.write(f"{made}\n")
    errors.print("Keep it like a password; it is not shown again. Programs send: Authorization: Bearer TOKEN")
    _put_in_force(path)


@web.command()
def address(config: ConfigOption = None) -> None:
    """Print the page's address, as a QR code too, and the fingerprint of its certificate."""
    path = config or system_config()
    if path is None:
        raise ConfigError(
            "This machine has no agent.toml.", remedy="Name one with --config, or run 'edge-agent setup'."
        )
    settings = load_config(path)
    if not settings.web.enabled:
        raise ConfigError(
            "The microscope page is off.", remedy="Turn it on: run 'edge-agent setup', or set web.enabled = true."
        )
    show_address(settings)


def _access_file(file: Path | None) -> Path:
    if file is not None:
        return file
    config = system_config()
    named = None if config is None else load_config(config).web.access_file
    return named or CREDENTIALS / ACCESS_NAME


def _ask_twice(problem: Callable[[str], str | None]) -> str:
    while True:
        typed = ask("Password (it is not shown)", "", secret=True)
        found = problem(typed)
        if found is None and ask("The same again", "", secret=True) != typed:
            found = "The two were not the same."
        if found is None:
            return typed
        output.print(found, markup=False)


def _read_line(problem: Callable[[str], str | None]) -> str:
    line = sys.stdin.readline()
    if not line:
        raise InputEnded("There was no password in the input; nothing was changed.")
    typed = line.removesuffix("\n").removesuffix("\r")
    found = problem(typed)
    if found is not None:
        raise ConfigError(found, remedy="Nothing was changed. Try again with another password.")
    return typed


def _put_in_force(path: Path) -> None:
    if path.parent == CREDENTIALS:
        restart_service(lambda line: errors.print(line, markup=False))
