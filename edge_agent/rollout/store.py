"""Stores the bundles and heads that are installed on this device."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from packaging.version import Version

from edge_agent.atomic_file import own_as_folder, sync_folder
from edge_agent.contracts import HeadManifest, Manifest, ModelKind, Signature
from edge_agent.errors import (
    BundleError,
    BundleMissing,
    DiskLow,
    EdgeAgentError,
    HeadError,
    HeadMismatch,
    ModelArchiveInvalid,
    ModelConflict,
    ModelInUse,
    ModelStoreFull,
    ModelUnknown,
)
from edge_agent.inference import Classifier
from edge_agent.inference.bundle import MANIFEST, MODEL, load_bundle, shipped_bundles
from edge_agent.inference.head import HEAD_MANIFEST, open_head
from edge_agent.inference.model_files import MAX_MODEL_BYTES, read_file
from edge_agent.inference.signature import SIGNATURE, Trust
from edge_agent.rollout.activation import ACTIVE
from edge_agent.rollout.archive import unpack
from edge_agent.rollout.problems import explain
from edge_agent.rollout.record import RECORD
from edge_agent.rollout.settings import ModelSettings, Origin

FOLDER = "models"
"""Folder of the models, in the state folder."""

MIN_FREE_BYTES = 256 * 2**20
"""Below this, the space is left for results, which matter more."""

_INCOMING = ".incoming-"
_REFERENCE = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)(?:@([0-9]+\.[0-9]+\.[0-9]+))?")
_FOLDER_NAME = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)-([0-9]+\.[0-9]+\.[0-9]+)")
_MAX_REFERENCE_CHARS = 128


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A bundle or head that can be used on this device."""

    kind: ModelKind
    reference: str
    """The reference that activates it: the name of a shipped bundle, else NAME@VERSION."""
    folder: Path
    manifest: Manifest | HeadManifest
    sha256: str
    """SHA-256 of manifest.json or head.json, which name the hash of every other file."""
    model_sha256: str
    """SHA-256 of model.tflite: the bundle's own, or that of the bundle that the head fits."""
    signature: Signature


@dataclass(frozen=True, slots=True)
class DamagedModel:
    """A folder in the place of an installed model that cannot be used."""

    kind: ModelKind
    folder: Path
    error: EdgeAgentError


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class ModelStore:
    """``models/bundles`` and ``models/heads`` of the state folder, with one folder NAME-VERSION for each.

    The agent and commands use it at the same time without waiting for each other: a model appears by one rename, and
    nothing in its folder changes afterwards. The methods raise ``ModelStoreError`` if the folder cannot be used.
    """

    def __init__(
        self, folder: Path, settings: ModelSettings, *, free_bytes_of: Callable[[Path], int] = _free_bytes
    ) -> None:
        """``folder`` is ``FOLDER`` in the state folder; it need not exist. ``free_bytes_of`` is for tests."""
        self.folder = folder
        self._settings = settings
        self._free_bytes_of = free_bytes_of

    @property
    def version(self) -> tuple[int, ...]:
        """A value that changes whenever something is installed or removed."""
        times = []
        for kind in ModelKind:
            try:
                times.append(self._place(kind).stat().st_mtime_ns)
            except OSError:
                times.append(0)
        return tuple(times)

    @property
    def max_archive_bytes(self) -> int:
        """Largest zip file that is installed."""
        return round(self._settings.max_archive_mib * 2**20)

    def installed(self) -> tuple[InstalledModel, ...]:
        """Shipped bundles, then installed bundles and heads, each by name and version. Reads every file."""
        return self._scan()[0]

    def damaged(self) -> tuple[DamagedModel, ...]:
        """The folders that cannot be used, and why."""
        return self._scan()[1]

    def find(self, kind: ModelKind, reference: str) -> InstalledModel:
        """The model that NAME or NAME@VERSION means, verified.

        A NAME without a version is the shipped bundle of that name, else the newest installed one. Raises
        ``ModelUnknown``, or the ``BundleError`` for which it cannot be used.
        """
        place = self.locate(kind, reference)
        return self._shipped(place) if isinstance(place, str) else self._read(kind, place)

    def locate(self, kind: ModelKind, reference: str) -> str | Path:
        """As ``find``, but without reading: the name of a shipped bundle, or a folder. Raises ``ModelUnknown``."""
        shipped = shipped_bundles() if kind is ModelKind.BUNDLE else {}
        match = _REFERENCE.fullmatch(reference) if len(reference) <= _MAX_REFERENCE_CHARS else None
        if match is not None:
            name, version = match[1], match[2]
            if version is None and name in shipped:
                return name
            versions = {each[1]: folder for each, folder in self._folders(kind) if each[0] == name}
            if version is not None and version in versions:
                return versions[version]
            if version is not None and name in shipped and self._shipped(name).manifest.version == version:
                return name
            if version is None and versions:
                return versions[max(versions, key=Version)]
        known = [*shipped, *(f"{name}@{version}" for (name, version), _ in self._folders(kind))]
        raise ModelUnknown(f"There is no {kind} '{reference[:80]}'; installed: {', '.join(known) or 'none'}.")

    def full_name(self, kind: ModelKind, reference: str) -> str:
        """The reference of the model that ``reference`` means. Raises ``ModelUnknown``."""
        place = self.locate(kind, reference)
        if isinstance(place, str):
            return place
        name, _, version = place.name.rpartition("-")
        return f"{name}@{version}"

    def bundle_of(self, head: HeadManifest) -> InstalledModel:
        """The bundle that a head was fitted on. Raises ``HeadMismatch`` if it is not installed."""
        for each in self.installed():
            if each.kind is ModelKind.BUNDLE and each.model_sha256 == head.parent.sha256:
                return each
        raise HeadMismatch(
            f"Head '{head.name}' was fitted on the bundle {head.parent.name} {head.parent.version}, which is not "
            "installed.",
            remedy="Install that bundle first.",
        )

    def install(self, source: Path, origin: Origin = Origin.LOCAL) -> InstalledModel:
        """Install the bundle or head in a folder or zip file, once it has been verified; nothing is activated.

        It is copied into a temporary folder here, verified there down to its golden outputs, written to the disk, and
        appears by one rename. If it is installed already, nothing happens. Raises ``ModelArchiveInvalid``,
        ``BundleError``, ``SigningMissing``, ``ModelConflict`` for other content of the same name and version,
        ``ModelStoreFull``, ``DiskLow``, ``DiskFull``, ``RuntimeMissing``.
        """
        # Not 'resolve', which has an error of its own for a link to itself.
        with self._incoming(Path(os.path.realpath(source)).name or "model") as folder:
            if source.is_dir():
                self._copy(source, folder)
            else:
                unpack(source, folder, max_bytes=self.max_archive_bytes, on_size=self._require_space)
            found = self.verify(folder, origin)
            if isinstance(found.manifest, Manifest) and found.manifest.name in shipped_bundles():
                shipped = self._shipped(found.manifest.name)
                if shipped.manifest.version == found.manifest.version:
                    return _same(shipped, found)
            return self._appear(found)

    def verify(self, folder: Path, origin: Origin = Origin.LOCAL) -> InstalledModel:
        """Verify the bundle or head in a folder, down to its golden outputs. Raises as ``install`` does."""
        trust = self._settings.trust(origin)
        kind = _kind_of(folder)
        found = self._read(kind, folder, trust, named=False)
        if isinstance(found.manifest, HeadManifest):
            parent = self.bundle_of(found.manifest)
            bundle = load_bundle(parent.reference if parent.signature is Signature.SHIPPED else parent.folder)
            Classifier(bundle, head=folder, trust=trust).verify_golden()
        else:
            Classifier(load_bundle(folder, trust)).verify_golden()
        return found

    def remove(self, model: InstalledModel, in_use: Sequence[str]) -> None:
        """Delete an installed model. Raises ``ModelInUse`` for references ``in_use`` and for shipped bundles."""
        if model.signature is Signature.SHIPPED:
            raise ModelInUse(f"{model.reference} comes with the software.", remedy="It cannot be removed.")
        if model.reference in in_use:
            raise ModelInUse(f"{model.reference} is used, or is what a roll-back would return to.")
        self._discard(model.folder)

    def clean(self) -> int:
        """Delete the remains of killed installations and activations, at the start of the agent. Returns how many."""
        count = 0
        try:
            left = [path for path in self.folder.glob(f"{_INCOMING}*") if path.is_dir()]
            for path in left:
                with contextlib.suppress(FileNotFoundError), _locked(path, wait=False) as is_orphan:
                    if is_orphan:
                        shutil.rmtree(path)
                        count += 1
            if self.folder.is_dir():
                # A process that writes one holds this lock, so these are remains of processes that ended.
                with _locked(self.folder, wait=True):
                    for path in self.folder.glob(f".{ACTIVE}.*.new"):
                        path.unlink()
                        count += 1
                # Only the agent writes this one, which is about to start.
                for path in self.folder.glob(f".{RECORD}.*.new"):
                    path.unlink()
                    count += 1
        except OSError as error:
            raise explain(self.folder, error) from error
        return count

    def _scan(self) -> tuple[tuple[InstalledModel, ...], tuple[DamagedModel, ...]]:
        found: list[InstalledModel] = []
        damaged: list[DamagedModel] = []
        for name, folder in shipped_bundles().items():
            try:
                found.append(self._shipped(name))
            except EdgeAgentError as error:
                damaged.append(DamagedModel(ModelKind.BUNDLE, folder, error))
        for kind in ModelKind:
            for _, folder in self._folders(kind):
                try:
                    found.append(self._read(kind, folder))
                except EdgeAgentError as error:
                    damaged.append(DamagedModel(kind, folder, error))
        return tuple(found), tuple(damaged)

    def _shipped(self, name: str) -> InstalledModel:
        bundle = load_bundle(name)
        return InstalledModel(
            ModelKind.BUNDLE,
            name,
            bundle.folder,
            bundle.manifest,
            bundle.sha256,
            bundle.manifest.files[MODEL],
            bundle.signature,
        )

    def _read(self, kind: ModelKind, folder: Path, trust: Trust | None = None, *, named: bool = True) -> InstalledModel:
        """The model in a folder, with every file verified; if ``named``, its folder must have its name."""
        trust = trust or self._settings.trust()
        manifest: Manifest | HeadManifest
        if kind is ModelKind.BUNDLE:
            bundle = load_bundle(folder, trust)
            manifest, signature, sha256 = bundle.manifest, bundle.signature, bundle.sha256
            model_sha256 = bundle.manifest.files[MODEL]
        else:
            head = open_head(folder, trust)
            manifest, signature, sha256 = head.manifest, head.signature, head.sha256
            model_sha256 = head.manifest.parent.sha256
        if named and folder.name != f"{manifest.name}-{manifest.version}":
            raise (BundleError if kind is ModelKind.BUNDLE else HeadError)(
                f"{folder} holds {manifest.name} {manifest.version}: somebody changed its name."
            )
        reference = f"{manifest.name}@{manifest.version}"
        return InstalledModel(kind, reference, folder, manifest, sha256, model_sha256, signature)

    def _place(self, kind: ModelKind) -> Path:
        return self.folder / f"{kind}s"

    def _folders(self, kind: ModelKind) -> list[tuple[tuple[str, str], Path]]:
        """Name and version, and the folder, of each installed model, in order."""
        try:
            paths = list(self._place(kind).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise explain(self._place(kind), error) from error
        matches = [(match, path) for path in paths if (match := _FOLDER_NAME.fullmatch(path.name)) is not None]
        found = [((match[1], match[2]), path) for match, path in matches]
        return sorted(found, key=lambda each: (each[0][0], Version(each[0][1])))

    def _copy(self, source: Path, folder: Path) -> None:
        """Copy the manifest, the files that it names, and the signature: nothing else is even read."""
        names: list[str]
        if _kind_of(source) is ModelKind.BUNDLE:
            names = [*load_bundle(source).manifest.files, MANIFEST]
        else:
            names = [*open_head(source).manifest.files, HEAD_MANIFEST]
        if os.path.lexists(source / SIGNATURE):
            names.append(SIGNATURE)
        for name in names:
            try:
                content = read_file(source, name, MAX_MODEL_BYTES)
            except (OSError, ValueError) as error:
                raise BundleError(f"{source / name} cannot be read: {error}.") from error
            self._require_space(len(content))
            path = folder / name
            try:
                with path.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise explain(path, error) from error

    def _require_space(self, needed_bytes: int) -> None:
        """Raise ``DiskLow`` or ``ModelStoreFull`` if this many more bytes do not fit."""
        free_bytes = self._free_bytes_of(self.folder)
        if free_bytes - needed_bytes < MIN_FREE_BYTES:
            raise DiskLow(
                f"{free_bytes / 2**20:.0f} MiB are free, which leaves {MIN_FREE_BYTES / 2**20:.0f} MiB to results."
            )
        max_bytes = round(self._settings.max_store_mib * 2**20)
        used_bytes = sum(_size_bytes(path) for path in self.folder.glob("*/*/*"))
        if used_bytes + needed_bytes > max_bytes:
            raise ModelStoreFull(
                f"The installed models have {used_bytes / 2**20:.1f} MiB of {max_bytes / 2**20:.0f} MiB, and "
                f"{needed_bytes / 2**20:.1f} MiB more do not fit."
            )

    def _appear(self, found: InstalledModel) -> InstalledModel:
        """Move a verified folder to its place in one step."""
        target = self._place(found.kind) / f"{found.manifest.name}-{found.manifest.version}"
        _require_only_named(found)
        if os.path.lexists(target):
            try:
                return _same(self._read(found.kind, target), found)
            except BundleError:
                # The existing folder cannot be used, and replacing it is the repair.
                self._discard(target)
        try:
            target.parent.mkdir(mode=0o755, exist_ok=True)
            own_as_folder(target.parent)
            for path in found.folder.iterdir():
                own_as_folder(path)
            sync_folder(found.folder)
            found.folder.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            if target.is_dir():
                # Another process was faster.
                return _same(self._read(found.kind, target), found)
            raise explain(target, error) from error
        return self._read(found.kind, target)

    def _discard(self, folder: Path) -> None:
        """Delete a folder, which disappears in one step."""
        with self._incoming(folder.name) as place:
            try:
                folder.rename(place)
                sync_folder(folder.parent)
            except OSError as error:
                raise explain(folder, error) from error

    @contextlib.contextmanager
    def _incoming(self, name: str) -> Iterator[Path]:
        """A new folder ``name`` that is deleted at the end, with everything that is still in it.

        The folder around it is locked, so that ``clean`` knows whether a process still works in it.
        """
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
                own_as_folder(self.folder)
            around = Path(mkdtemp(prefix=_INCOMING, dir=self.folder))
            around.chmod(0o755)
            own_as_folder(around)
        except OSError as error:
            raise explain(self.folder, error) from error
        try:
            with _locked(around, wait=True):
                folder = around / name
                try:
                    folder.mkdir(mode=0o755)
                    own_as_folder(folder)
                except OSError as error:
                    # The folder is gone: it was cleaned away before it was locked.
                    raise explain(folder, error) from error
                yield folder
        finally:
            shutil.rmtree(around, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a folder, which the kernel releases if the process dies. False if another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        # The folder was removed at this moment.
        return 0


def _kind_of(folder: Path) -> ModelKind:
    if os.path.lexists(folder / MANIFEST):
        return ModelKind.BUNDLE
    if os.path.lexists(folder / HEAD_MANIFEST):
        return ModelKind.HEAD
    raise BundleMissing(
        f"There is no bundle or head in '{folder}'.",
        remedy=f"Name a folder that has {MANIFEST} or {HEAD_MANIFEST}, or a zip file of one.",
    )


def _same(there: InstalledModel, found: InstalledModel) -> InstalledModel:
    """The installed model, if it is the same as the one found. Raises ``ModelConflict``."""
    if there.sha256 == found.sha256:
        return there
    raise ModelConflict(
        f"Another {found.kind} '{found.manifest.name}' of version {found.manifest.version} is installed already."
    )


def _require_only_named(found: InstalledModel) -> None:
    """Raise ``ModelArchiveInvalid`` if there are files that nothing vouches for."""
    manifest = MANIFEST if found.kind is ModelKind.BUNDLE else HEAD_MANIFEST
    extra = {path.name for path in found.folder.iterdir()} - {manifest, SIGNATURE, *found.manifest.files}
    if extra:
        raise ModelArchiveInvalid(f"{min(extra)} is in it, which {manifest} does not name.")
