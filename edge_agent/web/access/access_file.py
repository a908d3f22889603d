"""The access file: who may open the microscope page, as hashes of passwords and tokens by role.

.. code-block:: toml

    [work]
    password = "$argon2id$v=19$m=19456,t=2,p=1$..."
    token = "sha256:..."

A password is hashed with Argon2id, since it can be guessed. A token is 256 random bits, which nobody can guess, so one
round of SHA-256 protects it as well and costs a device nothing at each request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from edge_agent.credentials import credential, is_exposed
from edge_agent.errors import ConfigError, SecretExposed
from edge_agent.web.settings import WebSettings

ROLES = ("look", "work", "administer")
"""The roles, from the one that may do least to the one that may do most."""

_MAX_BYTES = 64 * 1024

_PASSWORD = re.compile(
    r"\$argon2id\$v=19\$m=(?P<memory>[1-9][0-9]{0,9}),t=(?P<time>[1-9][0-9]{0,3}),p=(?P<lanes>[1-9][0-9]{0,3})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}",
    re.ASCII,
)
_MAX_MEMORY_KIB, _MAX_TIME, _MAX_LANES = 65536, 10, 4
"""A hash with higher parameters would stop a device with 512 MB at every log-in."""

_TOKEN = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)

_REMEDY = "Write it anew with 'edge-agent web password' and 'edge-agent web token'."


@dataclass(frozen=True, slots=True)
class RoleAccess:
    """The proofs of a role: the Argon2id hash of its password and the digest of its token; None where it has none."""

    password: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class AccessFile:
    """The roles that can log in, at least one."""

    roles: dict[str, RoleAccess]

    @property
    def passwords(self) -> dict[str, str]:
        """Hashes by role, the role that may do most first."""
        return {
            name: self.roles[name].password or ""
            for name in reversed(ROLES)
            if name in self.roles and self.roles[name].password is not None
        }

    def role_of_token(self, token: str) -> str | None:
        """The role of a token; of several, the one that may do most; None if there is no such token."""
        digest = token_digest(token)
        found = None
        for name in ROLES:
            known = self.roles.get(name, RoleAccess()).token
            if known is not None and secrets.compare_digest(known, digest):
                found = name
        return found


def read_access(path: Path) -> AccessFile:
    """Read an access file, or the service's copy of it. Raises ``ConfigError``, which never repeats its content."""
    try:
        with credential(path).open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"web.access_file {path} does not exist.", remedy="Write it with 'edge-agent web password'."
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"web.access_file {path} cannot be read.", remedy="Change its owner or permissions, or name another file."
        ) from error
    try:
        return parse_access(content)
    except ValueError as error:
        raise ConfigError(f"web.access_file {path} cannot be used: {error}.", remedy=_REMEDY) from error


def exposed_files(settings: WebSettings) -> list[SecretExposed]:
    """One error per access or key file that every user of this machine can read."""
    files = [("web.access_file", settings.access_file)]
    if settings.tls is not None:
        files.append(("web.tls.key_file", settings.tls.key_file))
    return [
        SecretExposed(
            f"{key} {path} can be read by every user of this machine.",
            remedy=f"Remove the access of other users: chmod o-rwx {path}",
        )
        for key, path in files
        if path is not None and is_exposed(path)
    ]


def parse_access(content: bytes) -> AccessFile:
    """The roles in the file's content. Raises ``ValueError`` that explains the error, without any hash."""
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES // 1024} KiB")
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError):
        # The parser's own message may repeat a part of the file.
        raise ValueError("it is not TOML") from None
    roles = {_known_role(name): _role_access(name, table) for name, table in tables.items()}
    if not roles:
        raise ValueError("it has no role")
    return AccessFile(roles)


def changed_access(content: bytes, role: str, key: str, value: str) -> bytes:
    """The file's content with one value changed; comments and other roles stay. ``key`` is ``password`` or ``token``.

    Raises ``ValueError`` if ``content`` is not an access file.
    """
    if content.strip():
        parse_access(content)
    try:
        document = tomlkit.parse(content)
        if role not in document:
            document[role] = tomlkit.table()
        document[role][key] = value
        changed = tomlkit.dumps(document).encode()
        parse_access(changed)
    except TOMLKitError:
        raise ValueError("it is laid out in a way that cannot be changed") from None
    return changed


def new_token() -> str:
    """256 random bits, as text that can be put into a header."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """The digest of a token that the access file keeps."""
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _known_role(name: str) -> str:
    if name not in ROLES:
        raise ValueError(f"it has a section that is none of {', '.join(ROLES)}")
    return name


def _role_access(role: str, table: Any) -> RoleAccess:  # noqa: ANN401 - any TOML value
    if not isinstance(table, dict) or not table:
        raise ValueError(f"'{role}' is not a section with a password or a token")
    if not table.keys() <= {"password", "token"}:
        raise ValueError(f"[{role}] has a key that is neither password nor token")
    password, token = table.get("password"), table.get("token")
    if password is not None and not _is_password_hash(password):
        raise ValueError(f"the password of [{role}] is not an Argon2id hash of a bounded cost")
    if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise ValueError(f"the token of [{role}] is not a SHA-256 digest")
    return RoleAccess(password, token)


def _is_password_hash(value: Any) -> bool:  # noqa: ANN401 - any TOML value
    found = _PASSWORD.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    memory, time, lanes = int(found["memory"]), int(found["time"]), int(found["lanes"])
    # Argon2 itself needs 8 KiB a lane.
    return 8 * lanes <= memory <= _MAX_MEMORY_KIB and time <= _MAX_TIME and lanes <= _MAX_LANES
