"""The questions of ``edge-agent setup`` about the microscope page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from edge_agent.addresses import is_loopback
from edge_agent.cli.access_change import ACCESS_NAME, current_passwords, read_content
from edge_agent.cli.questions import Questions
from edge_agent.errors import WebMissing
from edge_agent.web.access.access_file import ROLES, changed_access

LISTENERS = {
    "this-machine": "only a browser on this machine, without a password",
    "network": "everyone on the network who has a password",
}
_HOSTS = {"this-machine": "127.0.0.1", "network": "0.0.0.0"}  # noqa: S104 - only if the user chose it

_ROLES = {
    "look": "sees everything, changes nothing",
    "work": "reads slides, pauses and calibrates",
    "administer": "also chooses the model and exports what was collected",
}


def ask_for_page(questions: Questions, credentials: Path) -> dict[Path, str]:
    """Ask who may open the page. Returns the files with secrets that are to be written with the configuration.

    Raises ``ConfigError`` if the existing access file cannot be used, and ``WebMissing``.
    """
    document = questions.document
    shown = bool(document.get("web", "enabled"))
    shown = questions.yes("Serve the microscope page, which shows the field and its reading in a browser?", shown)
    if not shown:
        document.set(("web", "enabled"), value=False)
        return {}
    host = document.get("web", "host") or "127.0.0.1"
    choices = dict(LISTENERS)
    known = next((name for name, address in _HOSTS.items() if address == host), None)
    if known is None:
        choices[host.lower()] = "as in the file now"
    who = questions.pick(choices, "Who can open it?", known or host.lower())
    chosen = _HOSTS.get(who, host)
    secrets = {} if is_loopback(chosen) else _passwords(questions, credentials)
    document.set(("web", "host"), chosen)
    document.set(("web", "enabled"), value=True)
    questions.set(("web", "port"), "Its port", as_number=True)
    return secrets


def _passwords(questions: Questions, credentials: Path) -> dict[Path, str]:
    """Ask for the passwords of the roles, and put them into the access file."""
    try:
        from edge_agent.web.access.passwords import hash_password
    except ImportError as error:
        raise WebMissing(f"Passwords cannot be hashed: {error}.") from error
    named = questions.document.get("web", "access_file")
    path = Path(named) if named else credentials / ACCESS_NAME
    before = current_passwords(path)
    typed = _ask_each(questions, before)
    while not typed and not before:
        questions.show("From the network nobody can open the page without a password. Give one to a role.")
        typed = _ask_each(questions, before)
    content = read_content(path)
    for role, password in typed.items():
        content = changed_access(content, role, "password", hash_password(password))
    questions.document.set(("web", "access_file"), str(path))
    return {path: content.decode()} if typed else {}


def _ask_each(questions: Questions, before: Mapping[str, str]) -> dict[str, str]:
    """New passwords by role; ``before`` are the hashes of those that have one."""
    from edge_agent.web.access.passwords import new_password

    typed: dict[str, str] = {}
    questions.show("A password decides what its owner may do. Roles without a password cannot log in.")
    for role in ROLES:
        questions.show(f"{role}: {_ROLES[role]}")
        # A role is taken away by hand, from the file.
        other = ("keep", "as it is now") if role in before else ("none", "no such role")
        choices = {"make": "the device makes one and shows it once", "type": "type one", other[0]: other[1]}
        default = other[0] if role in before or role == "look" else "make"
        match questions.pick(choices, f"Password of '{role}'?", default):
            case "make":
                typed[role] = new_password()
                questions.show(f"  The password of '{role}': {typed[role]}    Write it down; it is not shown again.")
            case "type":
                others = {name: known for name, known in before.items() if name not in {*typed, role}}
                typed[role] = _type(questions, typed.values(), others)
    return typed


def _type(questions: Questions, taken: Collection[str], others: Mapping[str, str]) -> str:
    """``taken`` are the passwords that were just given to other roles, ``others`` the hashes of those they have."""
    from edge_agent.web.access.passwords import password_problem, role_of_password

    while True:
        typed = questions.ask("Password (it is not shown)", "", secret=True)
        found = password_problem(typed)
        # The password alone decides the role, so whoever was to look only could then do anything.
        if found is None and (typed in taken or role_of_password(typed, others) is not None):
            found = "Another role has this password already."
        if found is None and questions.ask("The same again", "", secret=True) != typed:
            found = "The two were not the same."
        if found is None:
            return typed
        questions.show(found)
