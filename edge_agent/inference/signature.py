"""Signatures of bundles and heads: Ed25519 (RFC 8032) over the exact bytes of ``manifest.json`` or ``head.json``.

These files name the SHA-256 of every other file, so that one signature vouches for the whole folder. It is in the file
``signature``, which names its key. Anybody can verify it with OpenSSL, the key and the two files.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError

from edge_agent.contracts import Signature
from edge_agent.contracts.base import Contract
from edge_agent.errors import SignatureInvalid, SignatureUnknownKey, SigningMissing, UnsignedRefused

SIGNATURE = "signature"
MAX_SIGNATURE_BYTES = 1024
PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count, and whether a bundle or head may have none."""

    keys: Mapping[str, bytes] = field(default_factory=dict)
    """Raw public keys of 32 bytes, by their ids."""
    unsigned_allowed: bool = True

    @classmethod
    def of(cls, keys: Iterable[str], *, unsigned_allowed: bool) -> Self:
        """Trust these public keys, in base64. Raises ``ValueError`` for a text that is not a key."""
        decoded = [decode_public_key(key) for key in keys]
        return cls({key_id(key): key for key in decoded}, unsigned_allowed)


def decode_public_key(text: str) -> bytes:
    """The 32 bytes of a public key in base64. Raises ``ValueError`` with a text for people."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a public key is the line of base64 that 'trainer keygen' wrote") from error
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(key)}")
    return key


def key_id(public_key: bytes) -> str:
    """A short name of a key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def signature_file(public_key: bytes, signature: bytes) -> bytes:
    """Content of the file ``signature``. There is exactly one for a key and a signature."""
    document = _Document(key=key_id(public_key), signature=base64.b64encode(signature).decode())
    return (document.model_dump_json(indent=2) + "\n").encode()


def verify_signature(content: bytes, signature: bytes | None, trust: Trust, what: str) -> Signature:
    """Verify who vouches for ``content``; ``signature`` is the content of that file, None if there is none.

    ``what`` is for messages, such as "Bundle 'accurate'". Raises ``SignatureInvalid``, ``SignatureUnknownKey``,
    ``UnsignedRefused``, or ``SigningMissing`` if signatures cannot be verified on this machine.
    """
    if signature is None:
        if trust.unsigned_allowed:
            return Signature.UNSIGNED
        raise UnsignedRefused(f"{what} is not signed.")
    try:
        found = _Document.model_validate_json(signature)
    except ValidationError as error:
        raise SignatureInvalid(f"{what}: the file '{SIGNATURE}' cannot be read.") from error
    public_key = trust.keys.get(found.key)
    if public_key is None:
        raise SignatureUnknownKey(f"{what} is signed with the key {found.key}, which this device does not trust.")
    raw = base64.b64decode(found.signature)
    # Every part that could be written in two ways is compared as a whole.
    if signature != signature_file(public_key, raw):
        raise SignatureInvalid(f"{what}: the file '{SIGNATURE}' was changed.")
    _verify(public_key, raw, content, what)
    return Signature.VERIFIED


class _Document(Contract):
    """The whole file ``signature``."""

    schema_: Literal["leukoscope/signature/v1"] = Field(default="leukoscope/signature/v1", alias="schema")
    algorithm: Literal["ed25519"] = "ed25519"
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]


def _verify(public_key: bytes, raw: bytes, content: bytes, what: str) -> None:
    try:
        # Not at the top: cryptography is an extra, and an agent whose bundle is shipped never needs its 10 MB.
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra, and too large for the agent's start
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    except ImportError as error:
        raise SigningMissing(f"{what} is signed, and its signature cannot be verified: {error}.") from error
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, content)
    except (InvalidSignature, ValueError) as error:
        raise SignatureInvalid(f"{what}: its signature is not that of the key {key_id(public_key)}.") from error
