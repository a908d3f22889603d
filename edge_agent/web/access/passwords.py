"""Creates, hashes and checks the passwords of the microscope page.

Argon2id with 19 MiB, two passes and one lane: the least that OWASP's Password Storage Cheat Sheet accepts, since a
Raspberry Pi Zero 2 has 512 MB for everything.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MIN_CHARACTERS = 8
MAX_CHARACTERS = 256

_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""Characters of a password, without those that look alike in print."""


def new_password() -> str:
    """Twelve characters in three groups: 59 bits, and still possible to type on a phone."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))


def password_problem(password: str) -> str | None:
    """Why this cannot be a password, in a sentence; None if it can."""
    if "\ufffd" in password:
        return "The password is not UTF-8 text."
    if len(password) < MIN_CHARACTERS:
        return f"The password needs at least {MIN_CHARACTERS} characters."
    if len(password) > MAX_CHARACTERS:
        return f"The password may have at most {MAX_CHARACTERS} characters."
    if password != password.strip():
        return "The password may not begin or end with a space."
    return None


def hash_password(password: str) -> str:
    """The Argon2id hash for the access file. Takes about as long as a log-in."""
    return _HASHER.hash(_normal(password))


def role_of_password(password: str, hashes: Mapping[str, str]) -> str | None:
    """The first role whose hash fits; None if none does. Slow on purpose: run it in a thread of its own."""
    if len(password) > MAX_CHARACTERS:
        return None
    return next((role for role, known in hashes.items() if _fits(known, password)), None)


def _fits(known: str, password: str) -> bool:
    try:
        return _HASHER.verify(known, _normal(password))
    except (Argon2Error, InvalidHashError):
        return False


def _normal(password: str) -> bytes:
    """The password's bytes in NFC, which makes an umlaut one character: some keyboards send one, some two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
