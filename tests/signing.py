"""Signed copies of bundles, for tests."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.inference.signature import Trust
from trainer.export.signing import sign_folder

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def signed(folder: Path, key: Ed25519PrivateKey = KEY) -> str:
    """Sign a folder; the public key, as the configuration takes it."""
    return sign_folder(folder, key).text


def trusting(*keys: str, unsigned_allowed: bool = False) -> Trust:
    return Trust.of(keys, unsigned_allowed=unsigned_allowed)
