from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.contracts import Signature
from edge_agent.errors import BundleHashMismatch
from edge_agent.inference import load_bundle
from edge_agent.inference.head import open_head
from edge_agent.inference.signature import Trust
from tests.heads import write_head
from trainer.cli.entry_point import app
from trainer.errors import KeyUnusable, PassphraseNeeded, RunError
from trainer.export.signing import PRIVATE_KEY, PUBLIC_KEY, load_key, make_keys, sign_folder


def trust_of(folder: Path) -> Trust:
    return Trust.of([(folder / PUBLIC_KEY).read_text().strip()], unsigned_allowed=False)


def test_new_keys_sign_a_bundle_and_a_head(tmp_path: Path, demo_bundle: Path) -> None:
    public = make_keys(tmp_path / "keys")
    key = load_key(tmp_path / "keys" / PRIVATE_KEY)
    head = write_head(tmp_path / "head")
    assert sign_folder(demo_bundle, key) == public == sign_folder(head, key)
    trust = trust_of(tmp_path / "keys")
    assert load_bundle(demo_bundle, trust).signature is Signature.VERIFIED
    assert open_head(head, trust).signature is Signature.VERIFIED


def test_a_private_key_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    make_keys(tmp_path)
    file = tmp_path / PRIVATE_KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    with pytest.raises(KeyUnusable, match="has a key already"):
        make_keys(tmp_path)
    assert file.read_bytes() == content
    file.chmod(0o640)
    with pytest.raises(KeyUnusable, match="others can read"):
        load_key(file)


def test_an_encrypted_key_needs_its_passphrase(tmp_path: Path) -> None:
    make_keys(tmp_path, "correct horse")
    file = tmp_path / PRIVATE_KEY
    assert b"ENCRYPTED" in file.read_bytes()
    for wrong in (None, "battery"):
        with pytest.raises(PassphraseNeeded):
            load_key(file, wrong)
    load_key(file, "correct horse")


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_one_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.pem"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(KeyUnusable):
        load_key(file)
    with pytest.raises(KeyUnusable):
        load_key(tmp_path / "none.pem")


def test_only_what_verifies_is_signed(tmp_path: Path, demo_bundle: Path) -> None:
    make_keys(tmp_path / "keys")
    key = load_key(tmp_path / "keys" / PRIVATE_KEY)
    (demo_bundle / "card.md").write_text("changed")
    with pytest.raises(BundleHashMismatch):
        sign_folder(demo_bundle, key)
    with pytest.raises(RunError, match="neither a bundle nor a head"):
        sign_folder(tmp_path / "keys", key)


def test_the_commands_make_a_key_and_sign_with_it(tmp_path: Path, demo_bundle: Path) -> None:
    runner = CliRunner()
    keys = tmp_path / "keys"
    made = runner.invoke(app, ["keygen", "--out", str(keys), "--passphrase"], input="secret\nsecret\n")
    assert made.exit_code == 0, made.output
    public = (keys / PUBLIC_KEY).read_text().strip()
    assert f'trusted_keys = ["{public}"]' in made.stderr
    assert "secret" not in made.output.replace("Keep private-key.pem secret", "")
    signed = runner.invoke(app, ["sign", str(demo_bundle), "--key", str(keys / PRIVATE_KEY)], input="secret\n")
    assert signed.exit_code == 0, signed.output
    assert json.loads((demo_bundle / "signature").read_text())["key"] in signed.stderr
    assert load_bundle(demo_bundle, trust_of(keys)).signature is Signature.VERIFIED
