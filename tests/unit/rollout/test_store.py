"""A store of real bundles: copies of the shipped one."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from pydantic import ValidationError

from edge_agent.contracts import HeadManifest, Signature
from edge_agent.errors import (
    BundleHashMismatch,
    BundleMissing,
    DiskLow,
    GoldenMismatch,
    HeadMismatch,
    ModelArchiveInvalid,
    ModelConflict,
    ModelInUse,
    ModelStoreError,
    ModelStoreFull,
    ModelUnknown,
    SignatureUnknownKey,
    UnsignedRefused,
)
from edge_agent.inference import shipped_bundles
from edge_agent.rollout import ModelKind, ModelSettings, ModelStore, Origin
from edge_agent.rollout.activation import ACTIVE
from edge_agent.rollout.archive import pack
from edge_agent.rollout.record import RECORD
from tests.heads import write_head
from tests.signing import OTHER_KEY, signed

BUNDLE = ModelKind.BUNDLE


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "state" / "models", ModelSettings())


def make_bundle(folder: Path, version: str = "9.0.0", name: str = "demo", **changes: object) -> Path:
    """A copy of the demonstration bundle under another name and version."""
    shutil.copytree(shipped_bundles()["demo"], folder)
    file = folder / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "name": name, "version": version, **changes}))
    return folder


def names(store: ModelStore) -> list[str]:
    return [each.reference for each in store.installed() if each.signature is not Signature.SHIPPED]


def left(store: ModelStore) -> list[str]:
    """The contents of the store's folder besides installed bundles."""
    return sorted(path.name for path in store.folder.iterdir() if path.name not in {"bundles", "heads"})


def test_without_a_folder_there_are_the_shipped_bundles(store: ModelStore) -> None:
    assert [each.reference for each in store.installed()] == ["accurate", "cells", "demo", "fast"]
    assert store.clean() == 0
    assert not store.folder.exists()


def test_a_folder_and_its_archive_install_as_the_same(store: ModelStore, tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    found = store.install(source)
    assert found.reference == "demo@9.0.0"
    assert found.folder == store.folder / "bundles" / "demo-9.0.0"
    archive = tmp_path / "demo.zip"
    archive.write_bytes(pack(source, tuple(path.name for path in source.iterdir())))
    assert store.install(archive) == found
    assert names(store) == ["demo@9.0.0"]
    assert left(store) == []


def test_only_what_the_manifest_names_is_copied_from_a_folder(store: ModelStore, tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    (source / "notes.md").write_text("mine")
    assert not (store.install(source).folder / "notes.md").exists()


def test_an_archive_with_a_file_that_the_manifest_does_not_name_is_refused(store: ModelStore, tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    (source / "notes.md").write_text("mine")
    archive = tmp_path / "demo.zip"
    archive.write_bytes(pack(source, tuple(path.name for path in source.iterdir())))
    with pytest.raises(ModelArchiveInvalid, match=r"notes\.md"):
        store.install(archive)
    assert names(store) == []
    assert left(store) == []


def test_the_newest_is_found_by_its_name_and_any_by_its_version(store: ModelStore, tmp_path: Path) -> None:
    for version in ("9.0.0", "10.0.0"):
        store.install(make_bundle(tmp_path / version, version, "mine"))
    assert store.find(BUNDLE, "mine").manifest.version == "10.0.0"
    assert store.find(BUNDLE, "mine@9.0.0").manifest.version == "9.0.0"


def test_a_name_that_ships_stays_the_shipped_bundle(store: ModelStore, tmp_path: Path) -> None:
    """Whatever is installed, so that an installation alone changes nothing."""
    store.install(make_bundle(tmp_path / "source"))
    assert store.find(BUNDLE, "demo").signature is Signature.SHIPPED
    shipped = store.find(BUNDLE, "demo").manifest.version
    assert store.find(BUNDLE, f"demo@{shipped}").signature is Signature.SHIPPED
    assert store.find(BUNDLE, "demo@9.0.0").signature is Signature.UNSIGNED


@pytest.mark.parametrize(
    "reference",
    ["", "none", "demo@1.1.1", "../bundles/demo", "/etc", "demo@../x", "demo@9.0.0/..", "a" * 5000, "demo\n"],
)
def test_what_is_not_installed_is_unknown_whatever_it_is_called(
    store: ModelStore, tmp_path: Path, reference: str
) -> None:
    store.install(make_bundle(tmp_path / "source"))
    with pytest.raises(ModelUnknown, match=r"demo@9\.0\.0"):
        store.find(BUNDLE, reference)
    with pytest.raises(ModelUnknown):
        store.find(ModelKind.HEAD, "demo@9.0.0")


def test_other_content_of_the_same_version_is_refused(store: ModelStore, tmp_path: Path) -> None:
    found = store.install(make_bundle(tmp_path / "source"))
    with pytest.raises(ModelConflict):
        store.install(make_bundle(tmp_path / "other", temperature=2.0))
    shipped = store.find(BUNDLE, "demo").manifest.version
    with pytest.raises(ModelConflict):
        store.install(make_bundle(tmp_path / "shipped", shipped))
    assert store.find(BUNDLE, "demo@9.0.0") == found
    assert left(store) == []


def test_installing_repairs_what_is_damaged(store: ModelStore, tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    folder = store.install(source).folder
    (folder / "model.tflite").write_bytes(b"a worn card")
    assert names(store) == []
    assert [each.error.code for each in store.damaged()] == ["bundle_hash_mismatch"]
    with pytest.raises(BundleHashMismatch):
        store.find(BUNDLE, "demo@9.0.0")
    store.install(source)
    assert names(store) == ["demo@9.0.0"]
    assert left(store) == []


def test_a_bundle_that_gives_other_outputs_here_is_not_installed(store: ModelStore, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other")
    golden = (shipped_bundles()["fast"] / "golden.npz").read_bytes()
    (other / "golden.npz").write_bytes(golden)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"]["golden.npz"] = hashlib.sha256(golden).hexdigest()
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(GoldenMismatch):
        store.install(other)
    assert names(store) == []
    assert left(store) == []


@pytest.mark.parametrize(
    ("unsigned", "local", "remote"), [("never", False, False), ("local", True, False), ("always", True, True)]
)
def test_where_an_unsigned_bundle_may_come_from_is_configured(
    tmp_path: Path, unsigned: str, local: bool, remote: bool
) -> None:
    settings = ModelSettings.model_validate({"unsigned": unsigned})
    source = make_bundle(tmp_path / "source")
    for origin, allowed in ((Origin.LOCAL, local), (Origin.REMOTE, remote)):
        store = ModelStore(tmp_path / origin, settings)
        if allowed:
            assert store.install(source, origin).signature is Signature.UNSIGNED
        else:
            with pytest.raises(UnsignedRefused):
                store.install(source, origin)
            assert left(store) == []


def test_a_signed_bundle_may_come_from_anywhere_if_its_key_is_trusted(tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    settings = ModelSettings(trusted_keys=[signed(source)], unsigned="never")
    store = ModelStore(tmp_path / "models", settings)
    assert store.install(source, Origin.REMOTE).signature is Signature.VERIFIED
    assert store.find(BUNDLE, "demo@9.0.0").signature is Signature.VERIFIED
    signed(source, OTHER_KEY)
    with pytest.raises(SignatureUnknownKey):
        ModelStore(tmp_path / "other", ModelSettings(unsigned="always")).install(source)


@pytest.mark.parametrize("key", ["", "short", "A" * 44, "x" * 100])
def test_a_trusted_key_that_is_none_is_an_error_of_the_configuration(key: str) -> None:
    with pytest.raises(ValidationError, match="public key"):
        ModelSettings(trusted_keys=[key])


def test_nothing_is_installed_where_results_need_the_space(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", ModelSettings(), free_bytes_of=lambda _folder: 256 * 2**20 + 1000)
    source = make_bundle(tmp_path / "source")
    with pytest.raises(DiskLow):
        store.install(source)
    archive = tmp_path / "demo.zip"
    archive.write_bytes(pack(source, tuple(path.name for path in source.iterdir())))
    with pytest.raises(DiskLow):
        store.install(archive)
    assert left(store) == []


def test_the_store_has_a_limit(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", ModelSettings(max_store_mib=1))
    store.install(make_bundle(tmp_path / "source"))
    with pytest.raises(ModelStoreFull):
        store.install(make_bundle(tmp_path / "other", "9.0.1"))
    assert names(store) == ["demo@9.0.0"]


def test_what_is_used_or_ships_cannot_be_removed(store: ModelStore, tmp_path: Path) -> None:
    found = store.install(make_bundle(tmp_path / "source"))
    with pytest.raises(ModelInUse):
        store.remove(found, ["demo@9.0.0"])
    with pytest.raises(ModelInUse):
        store.remove(store.find(BUNDLE, "demo"), [])
    store.remove(found, ["demo"])
    assert names(store) == []
    assert left(store) == []


@pytest.mark.parametrize("content", [None, "folder"])
def test_what_is_neither_bundle_nor_head_is_one_error(store: ModelStore, tmp_path: Path, content: str | None) -> None:
    source = tmp_path / "source"
    if content is not None:
        source.mkdir()
    with pytest.raises((BundleMissing, ModelArchiveInvalid)):
        store.install(source)
    assert left(store) == []


def test_a_folder_under_another_name_is_damaged(store: ModelStore, tmp_path: Path) -> None:
    found = store.install(make_bundle(tmp_path / "source"))
    found.folder.rename(found.folder.with_name("demo-9.9.9"))
    assert names(store) == []
    assert "changed its name" in store.damaged()[0].error.message


def test_leftovers_are_cleaned_but_not_what_another_process_installs_now(store: ModelStore) -> None:
    store.folder.mkdir(parents=True)
    for name in (".incoming-dead", ".incoming-alive"):
        (store.folder / name / "model").mkdir(parents=True)
    descriptor = os.open(store.folder / ".incoming-alive", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert store.clean() == 1
        assert left(store) == [".incoming-alive"]
    finally:
        os.close(descriptor)
    assert store.clean() == 1


@pytest.mark.parametrize("name", [ACTIVE, RECORD])
def test_a_file_that_a_kill_left_half_written_is_cleaned(store: ModelStore, name: str) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / name).write_text("{}")
    (store.folder / f".{name}.0123abcd.new").write_text("{")
    assert store.clean() == 1
    assert left(store) == [name]


def test_several_installations_of_one_bundle_at_once_are_one(store: ModelStore, tmp_path: Path) -> None:
    source = make_bundle(tmp_path / "source")
    found: list[object] = []
    threads = [Thread(target=lambda: found.append(store.install(source))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert names(store) == ["demo@9.0.0"]
    assert left(store) == []


def test_a_folder_that_cannot_be_used_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(ModelStoreError):
        ModelStore(tmp_path / "models", ModelSettings()).install(make_bundle(tmp_path / "source"))


def test_a_link_to_itself_is_one_error(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "loop.zip").symlink_to("loop.zip")
    with pytest.raises(ModelArchiveInvalid, match="cannot be read"):
        store.install(tmp_path / "loop.zip")


def test_a_head_is_installed_beside_the_bundle_that_it_fits(store: ModelStore, tmp_path: Path) -> None:
    found = store.install(write_head(tmp_path / "head"))
    assert (found.kind, found.reference) == (ModelKind.HEAD, "north-clinic-1@1.0.0")
    assert store.find(ModelKind.HEAD, "north-clinic-1") == found
    assert isinstance(found.manifest, HeadManifest)
    assert store.bundle_of(found.manifest).reference == "demo"
    archive = tmp_path / "head.zip"
    archive.write_bytes(pack(tmp_path / "head", ("head.json", *found.manifest.files)))
    assert store.install(archive) == found
    assert left(store) == []


def test_a_head_without_its_bundle_is_not_installed(store: ModelStore, tmp_path: Path) -> None:
    head = write_head(tmp_path / "head")
    document = json.loads((head / "head.json").read_text())
    document["parent"]["sha256"] = "0" * 64
    (head / "head.json").write_text(json.dumps(document))
    with pytest.raises(HeadMismatch, match="not installed"):
        store.install(head)
    assert left(store) == []


def test_a_head_that_gives_other_outputs_here_is_not_installed(store: ModelStore, tmp_path: Path) -> None:
    head = write_head(tmp_path / "head")
    with np.load(head / "head.npz") as found:
        arrays = dict(found)
    arrays["golden_logits"] = arrays["golden_logits"] + 5
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    (head / "head.npz").write_bytes(packed.getvalue())
    document = json.loads((head / "head.json").read_text())
    document["files"]["head.npz"] = hashlib.sha256(packed.getvalue()).hexdigest()
    (head / "head.json").write_text(json.dumps(document))
    with pytest.raises(GoldenMismatch):
        store.install(head)
    assert left(store) == []
