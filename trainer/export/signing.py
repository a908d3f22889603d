"""Keys, and the signature of a bundle or head, which ``edge_agent.inference.signature`` verifies on the device."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.inference.bundle import MANIFEST, load_bundle
from edge_agent.inference.head import HEAD_MANIFEST, open_head
from edge_agent.inference.model_files import MAX_MANIFEST_BYTES, read_file
from edge_agent.inference.signature import SIGNATURE, Trust, key_id, signature_file, verify_signature
from trainer.errors import KeyUnusable, OutputUnwritable, PassphraseNeeded, RunError
from trainer.files import make_folder, replacing

PRIVATE_KEY = "private-key.pem"
PUBLIC_KEY = "public-key.txt"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half of a pair of keys that everybody may have."""

    id: str
    text: str
    """In base64, as ``models.trusted_keys`` takes it."""


def make_keys(folder: Path, passphrase: str | None = None) -> PublicKey:
    """Write a new pair of Ed25519 keys: ``private-key.pem`` (PKCS #8, readable by its owner) and ``public-key.txt``.

    Raises ``KeyUnusable`` if there is one already, or ``OutputUnwritable``.
    """
    key = Ed25519PrivateKey.generate()
    encryption: form.KeySerializationEncryption = form.NoEncryption()
    if passphrase:
        encryption = form.BestAvailableEncryption(passphrase.encode())
    content = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, encryption)
    make_folder(folder)
    path = folder / PRIVATE_KEY
    if os.path.lexists(path) or os.path.lexists(folder / PUBLIC_KEY):
        raise KeyUnusable(f"{folder} has a key already.", remedy="Name another --out: keys are not overwritten.")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise OutputUnwritable(f"{path} cannot be written ({error.strerror}).") from error
    public = _public_key(key)
    with replacing(folder / PUBLIC_KEY) as file:
        file.write(f"{public.text}\n".encode())
    return public


def load_key(path: Path, passphrase: str | None = None) -> Ed25519PrivateKey:
    """Load a private key that ``make_keys`` wrote. Raises ``PassphraseNeeded`` or ``KeyUnusable``."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read ({error.strerror}).") from error
    if mode & 0o077:
        raise KeyUnusable(f"others can read {path}.", remedy=f"Keep it to yourself: chmod 600 {path}")
    try:
        key = form.load_pem_private_key(content, passphrase.encode() if passphrase else None)
    except TypeError as error:
        if passphrase is None:
            raise PassphraseNeeded(f"{path} is encrypted.") from error
        return load_key(path)
    except Exception as error:
        # cryptography raises ValueError, UnsupportedAlgorithm and others, also for a wrong passphrase.
        if passphrase:
            raise PassphraseNeeded(f"{path} cannot be read with this passphrase.") from error
        raise KeyUnusable(f"{path} is not a private key.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is not an Ed25519 key.")
    return key


def sign_folder(folder: Path, key: Ed25519PrivateKey) -> PublicKey:
    """Verify and sign the bundle or head in ``folder``. An earlier signature is replaced.

    Raises ``BundleError``, ``RunError`` if the folder contains neither, or ``OutputUnwritable``.
    """
    if (folder / MANIFEST).exists():
        name, sha256 = MANIFEST, load_bundle(folder).sha256
    elif (folder / HEAD_MANIFEST).exists():
        name, sha256 = HEAD_MANIFEST, open_head(folder).sha256
    else:
        raise RunError(
            f"{folder} is neither a bundle nor a head.", remedy=f"Name a folder that has {MANIFEST} or {HEAD_MANIFEST}."
        )
    content = read_file(folder, name, MAX_MANIFEST_BYTES)
    if sha256 != hashlib.sha256(content).hexdigest():
        raise RunError(f"{folder / name} was changed while it was signed.", remedy="Sign it again.")
    public = _public_key(key)
    signature = signature_file(base64.b64decode(public.text), key.sign(content))
    verify_signature(content, signature, Trust.of([public.text], unsigned_allowed=False), str(folder))
    with replacing(folder / SIGNATURE) as file:
        file.write(signature)
    return public


def _public_key(key: Ed25519PrivateKey) -> PublicKey:
    raw = key.public_key().public_bytes_raw()
    return PublicKey(key_id(raw), base64.b64encode(raw).decode())
