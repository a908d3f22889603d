"""Passwords and tokens of the microscope page, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edge_agent.web.access.access_file import ROLES, token_digest
from edge_agent.web.access.passwords import hash_password

PASSWORDS = {role: f"password of {role}" for role in ROLES}
TOKENS = {role: f"token-of-{role}" for role in ROLES}


@cache
def access_text(roles: tuple[str, ...] = ROLES) -> str:
    """An access file, hashed once."""
    return "".join(
        f'[{role}]\npassword = "{hash_password(PASSWORDS[role])}"\ntoken = "{token_digest(TOKENS[role])}"\n'
        for role in roles
    )


def write_access(folder: Path, roles: tuple[str, ...] = ROLES) -> Path:
    path = folder / "web-access.toml"
    path.write_text(access_text(roles))
    path.chmod(0o600)
    return path
