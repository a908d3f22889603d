"""Signed copies of the shipped demonstration bundle, and changes to them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.contracts import Signature
from edge_agent.errors import (
    BundleError,
    SignatureInvalid,
    SignatureUnknownKey,
    SigningMissing,
    UnsignedRefused,
)
from edge_agent.inference import Classifier, load_bundle, runtime
from edge_agent.inference.arrays import read_arrays
from edge_agent.inference.head import open_head
from edge_agent.inference.signature import SIGNATURE, Trust, decode_public_key, key_id
from tests.heads import write_head
from tests.signing import KEY, OTHER_KEY, signed, trusting

FILES = ("manifest.json", "model.tflite", "golden.npz", "ood.npz", "card.md", "data.md", SIGNATURE)
NOTHING = Trust(unsigned_allowed=False)


@pytest.fixture
def trust(demo_bundle: Path) -> Trust:
    """Trust the signature of ``demo_bundle``, and nothing unsigned."""
    return trusting(signed(demo_bundle))


def test_a_signed_bundle_is_verified_and_says_so(demo_bundle: Path, trust: Trust) -> None:
    bundle = load_bundle(demo_bundle, trust)
    assert bundle.signature is Signature.VERIFIED
    assert Classifier(bundle).identity.signature is Signature.VERIFIED


def test_a_shipped_bundle_needs_no_signature() -> None:
    assert load_bundle("demo", NOTHING).signature is Signature.SHIPPED


def test_a_folder_that_is_called_as_a_shipped_bundle_is_not_one(
    demo_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo_bundle.rename(demo_bundle.with_name("demo"))
    monkeypatch.chdir(demo_bundle.parent)
    with pytest.raises(UnsignedRefused):
        load_bundle(Path("demo"), NOTHING)


def test_an_unsigned_bundle_is_used_only_where_it_may_be(demo_bundle: Path) -> None:
    assert load_bundle(demo_bundle, trusting(unsigned_allowed=True)).signature is Signature.UNSIGNED
    with pytest.raises(UnsignedRefused, match="not signed"):
        load_bundle(demo_bundle, NOTHING)


def test_a_key_that_is_not_trusted_is_refused_even_where_no_signature_is_needed(demo_bundle: Path) -> None:
    other = trusting(signed(demo_bundle), unsigned_allowed=True)
    signed(demo_bundle, OTHER_KEY)
    with pytest.raises(SignatureUnknownKey, match="does not trust"):
        load_bundle(demo_bundle, other)


def test_a_signature_by_another_key_in_the_name_of_a_trusted_one_is_refused(demo_bundle: Path, trust: Trust) -> None:
    trusted = json.loads((demo_bundle / SIGNATURE).read_text())["key"]
    signed(demo_bundle, OTHER_KEY)
    forged = json.loads((demo_bundle / SIGNATURE).read_text())
    (demo_bundle / SIGNATURE).write_text(json.dumps({**forged, "key": trusted}, indent=2) + "\n")
    with pytest.raises(SignatureInvalid, match="not that of the key"):
        load_bundle(demo_bundle, trust)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), other=st.integers(1, 255))
def test_any_changed_byte_of_any_file_is_refused(
    demo_bundle: Path, trust: Trust, name: str, where: float, other: int
) -> None:
    content = (demo_bundle / name).read_bytes()
    changed = bytearray(content)
    changed[int(where * len(content))] ^= other
    (demo_bundle / name).write_bytes(changed)
    try:
        with pytest.raises(BundleError):
            load_bundle(demo_bundle, trust)
    finally:
        (demo_bundle / name).write_bytes(content)


def test_every_changed_byte_of_a_signature_is_refused(demo_bundle: Path, trust: Trust) -> None:
    content = (demo_bundle / SIGNATURE).read_bytes()
    for place in range(len(content)):
        # Some of them are other white space, or bits that base64 does not use.
        for other in (b"\t", b"R", bytes([content[place] ^ 1])):
            changed = content[:place] + other + content[place + 1 :]
            if changed != content:
                (demo_bundle / SIGNATURE).write_bytes(changed)
                with pytest.raises(BundleError):
                    load_bundle(demo_bundle, trust)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("ratio", [0, 0.5, 0.999])
def test_a_truncated_file_is_refused(demo_bundle: Path, trust: Trust, name: str, ratio: float) -> None:
    content = (demo_bundle / name).read_bytes()
    (demo_bundle / name).write_bytes(content[: int(ratio * len(content))])
    with pytest.raises(BundleError):
        load_bundle(demo_bundle, trust)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file_is_refused(demo_bundle: Path, trust: Trust, name: str) -> None:
    with (demo_bundle / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BundleError):
        load_bundle(demo_bundle, trust)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_too_large_is_refused_before_it_is_read(demo_bundle: Path, name: str) -> None:
    with (demo_bundle / name).open("ab") as file:
        file.truncate(2**40)  # a hole, which takes no space
    with pytest.raises(BundleError, match="bytes, more than"):
        load_bundle(demo_bundle, trusting(unsigned_allowed=True))


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused_even_to_the_same_content(demo_bundle: Path, trust: Trust, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (demo_bundle / name).rename(outside)
    (demo_bundle / name).symlink_to(outside)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(demo_bundle, trust)


def test_a_pipe_is_refused_without_waiting_for_a_writer(demo_bundle: Path, trust: Trust) -> None:
    (demo_bundle / "card.md").unlink()
    os.mkfifo(demo_bundle / "card.md")
    with pytest.raises(BundleError, match="not a plain file"):
        load_bundle(demo_bundle, trust)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "..", "manifest.json", SIGNATURE])
def test_a_manifest_cannot_name_files_elsewhere(demo_bundle: Path, name: str) -> None:
    manifest = json.loads((demo_bundle / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (demo_bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        load_bundle(demo_bundle)


def test_a_file_that_the_manifest_does_not_name_is_never_read(demo_bundle: Path, trust: Trust) -> None:
    (demo_bundle / "notes.txt").symlink_to("/nowhere")
    assert load_bundle(demo_bundle, trust).signature is Signature.VERIFIED


def test_what_was_verified_is_what_runs(demo_bundle: Path, trust: Trust) -> None:
    bundle = load_bundle(demo_bundle, trust)
    for name in FILES:
        (demo_bundle / name).write_bytes(b"exchanged after it was verified")
    Classifier(bundle).verify_golden()


def test_signatures_are_not_looked_at_where_nobody_is_trusted_or_not(demo_bundle: Path) -> None:
    (demo_bundle / SIGNATURE).write_text("a trainer makes a bundle before it signs it")
    assert load_bundle(demo_bundle).signature is Signature.UNSIGNED


def test_without_cryptography_a_signed_bundle_is_refused_and_says_what_to_install(
    demo_bundle: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(SigningMissing, match="cannot be verified") as raised:
        load_bundle(demo_bundle, trust)
    assert "cryptography" in raised.value.remedy


def test_openssl_verifies_the_same_signature(demo_bundle: Path, tmp_path: Path) -> None:
    """Anybody can check a bundle without this software."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    signed(demo_bundle)
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    raw = base64.b64decode(json.loads((demo_bundle / SIGNATURE).read_text())["signature"])
    (tmp_path / "raw").write_bytes(raw)
    done = subprocess.run(
        [
            *("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", tmp_path / "public.pem"),
            *("-sigfile", tmp_path / "raw", "-in", demo_bundle / "manifest.json"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Signature Verified Successfully" in done.stdout, done.stderr


@given(text=st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()))
def test_a_public_key_is_32_bytes_of_base64_or_an_error(text: str) -> None:
    try:
        key = decode_public_key(text)
    except ValueError:
        return
    assert len(key) == 32
    assert len(key_id(key)) == 16


def bomb(arrays: dict[str, int]) -> bytes:
    """An .npz file whose arrays declare this many bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in arrays.items():
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, {"descr": "<f4", "fortran_order": False, "shape": (size // 4,)}
            )
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(min(size, 2**25)))
    return packed.getvalue()


@pytest.mark.parametrize("arrays", [{"a": 2**25}, {"a": 2**40}, {"a": 2**62}, {"a": 8, "b": 2**25}])
def test_an_array_file_that_unpacks_to_too_much_is_refused(arrays: dict[str, int]) -> None:
    content = bomb(arrays)
    assert len(content) < 2**17
    with pytest.raises(ValueError, match=r"unpacks to|allocate|array"):
        read_arrays(content, ("a",))


def test_an_array_file_that_lies_about_its_size_is_refused() -> None:
    content = bytearray(bomb({"a": 2**25}))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<L", 200)
    with pytest.raises(ValueError, match=r".+"):
        read_arrays(bytes(content), ("a",))


def header(text: bytes) -> bytes:
    """An array whose header is ``text``."""
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(text)) + text


def damaged_stream() -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, a=np.zeros(1000, np.float32))
    content = bytearray(packed.getvalue())
    begin = 30 + sum(struct.unpack("<2H", content[26:30]))
    content[begin : begin + 20] = b"\xff" * 20
    return bytes(content)


def with_array(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.npy", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        damaged_stream(),
        with_array(b"no array"),
        with_array(header(b"{'descr': '<f4', 'shape': (")),
        with_array(header(b"{'descr': [('a', ('b',))], 'fortran_order': False, 'shape': (1,)}\n")),
    ],
    ids=["damaged stream", "no array", "header without an end", "unknown type"],
)
def test_an_array_file_that_numpy_stumbles_over_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_arrays(content, ("a",))


def test_a_pickle_is_refused() -> None:
    packed = io.BytesIO()
    np.savez(packed, a=np.array([{"code": "to run"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(packed.getvalue(), ("a",))


def test_a_model_whose_tensors_need_too_much_memory_is_refused_before_they_are_made(
    demo_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with a side of 100,000 would be: here the limit is lowered instead."""
    monkeypatch.setattr(runtime, "MAX_TENSORS_BYTES", 2**20)
    with pytest.raises(BundleError, match="its tensors need"):
        Classifier(load_bundle(demo_bundle))


def absurd_model(content: bytes, side: int) -> bytes:
    """The model with the shape of its input changed to this, in every place of the file."""
    shape = struct.pack("<4i", 1, 224, 224, 3)
    assert shape in content
    return content.replace(shape, struct.pack("<4i", 1, side, side, 3))


@pytest.mark.parametrize("side", [0, -1, 1, 100_000, 2**31 - 1])
def test_a_model_with_an_absurd_input_is_one_error(demo_bundle: Path, side: int) -> None:
    model = absurd_model((demo_bundle / "model.tflite").read_bytes(), side)
    (demo_bundle / "model.tflite").write_bytes(model)
    manifest = json.loads((demo_bundle / "manifest.json").read_text())
    manifest["files"]["model.tflite"] = hashlib.sha256(model).hexdigest()
    (demo_bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        Classifier(load_bundle(demo_bundle))


HEAD_FILES = ("head.json", "head.npz", "card.md", "examples.csv", SIGNATURE)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return write_head(tmp_path / "head")


def test_a_signed_head_is_verified_and_says_so_and_the_bundle_keeps_its_own(head: Path) -> None:
    trust = trusting(signed(head))
    identity = Classifier(load_bundle("demo"), head=head, trust=trust).identity
    assert identity.signature is Signature.SHIPPED
    assert identity.head is not None
    assert identity.head.signature is Signature.VERIFIED


def test_an_unsigned_head_is_used_only_where_it_may_be(head: Path) -> None:
    identity = Classifier(load_bundle("demo"), head=head, trust=trusting(unsigned_allowed=True)).identity
    assert identity.head is not None
    assert identity.head.signature is Signature.UNSIGNED
    with pytest.raises(UnsignedRefused):
        Classifier(load_bundle("demo"), head=head, trust=NOTHING)


def test_a_head_of_another_key_is_refused(head: Path) -> None:
    trust = trusting(signed(head), unsigned_allowed=True)
    signed(head, OTHER_KEY)
    with pytest.raises(SignatureUnknownKey):
        open_head(head, trust)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(HEAD_FILES),
    where=st.floats(0, 1, exclude_max=True),
    other=st.integers(1, 255),
    cut=st.booleans(),
)
def test_any_changed_or_missing_byte_of_a_head_is_refused(
    head: Path, name: str, where: float, other: int, cut: bool
) -> None:
    trust = trusting(signed(head))
    content = (head / name).read_bytes()
    place = int(where * len(content))
    changed = content[:place] if cut else content[:place] + bytes([content[place] ^ other]) + content[place + 1 :]
    (head / name).write_bytes(changed)
    try:
        with pytest.raises(BundleError):
            open_head(head, trust)
    finally:
        (head / name).write_bytes(content)


@pytest.mark.parametrize("name", HEAD_FILES)
def test_a_head_has_no_links_and_no_endless_files(head: Path, tmp_path: Path, name: str) -> None:
    trust = trusting(signed(head))
    with (head / name).open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match="bytes, more than"):
        open_head(head, trust)
    (head / name).rename(tmp_path / "outside")
    (head / name).symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match="is a link"):
        open_head(head, trust)
