"""``trainer keygen`` and ``trainer sign``, and the option ``--sign`` of the commands that write a bundle or head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.progress import console

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SignOption = Annotated[
    Path | None,
    typer.Option("--sign", help="Private key that 'trainer keygen' wrote, to sign with.", metavar="KEY"),
]


def keygen(
    out: Annotated[Path, typer.Option(help="Folder for private-key.pem and public-key.txt.", metavar="FOLDER")],
    *,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase, and encrypt the private key with it.")
    ] = False,
) -> None:
    """Make a pair of keys: the private one signs bundles and heads, the public one lets devices trust them."""
    from trainer.export.signing import PRIVATE_KEY, make_keys

    secret = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True) if passphrase else None
    public = make_keys(out, secret)
    console.print(f"Keys written to {out}. Keep {PRIVATE_KEY} secret, and keep a copy of it where it cannot get lost.")
    console.print("On each device that shall trust it, in agent.toml:")
    console.print(f'\n[models]\ntrusted_keys = ["{public.text}"]  # key {public.id}\n', markup=False, soft_wrap=True)


def sign(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle or head.", metavar="FOLDER")],
    key: Annotated[Path, typer.Option(help="Private key that 'trainer keygen' wrote.")],
) -> None:
    """Sign a bundle or head, so that devices that trust the key accept it. Changing it later breaks the signature."""
    sign_with(folder, ask_for_key(key))


def ask_for_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file. Asks for the passphrase if the key has one. Raises ``KeyUnusable``."""
    from trainer.errors import PassphraseNeeded
    from trainer.export.signing import load_key

    try:
        return load_key(path)
    except PassphraseNeeded:
        return load_key(path, typer.prompt(f"Passphrase of {path}", hide_input=True, err=True))


def sign_with(folder: Path, key: Ed25519PrivateKey, *, say: bool = True) -> None:
    """Sign ``folder`` and say so, unless a program reads the output."""
    from trainer.export.signing import sign_folder

    public = sign_folder(folder, key)
    if say:
        console.print(f"{folder} is signed with the key {public.id}.", soft_wrap=True)
