"""'trainer coral': a copy of a bundle whose model is compiled for an Edge TPU as well."""

from __future__ import annotations

from pathlib import Path

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL
from trainer.errors import FileInaccessible, RunError
from trainer.export.bundle_files import hash_files, write_bundle
from trainer.export.edge_tpu import Compiled, compile_for_edge_tpu
from trainer.files import holds_files


def add_edge_tpu_model(bundle: str, out: Path) -> Compiled:
    """Compile the model of a bundle, given by name or folder, and write a bundle with both to the new folder ``out``.

    Everything else stays as it is, also its version: where no Edge TPU is, it does the same. A signature of the old
    bundle is not kept, since it is not of the new one. Raises ``TrainerError`` or ``BundleError``.
    """
    if holds_files(out):
        raise RunError(f"{out} is not empty.", remedy="Remove what is in it, or name another --out.")
    found = load_bundle(bundle)
    compiled = compile_for_edge_tpu(found.contents[MODEL])
    try:
        contents = {name: (found.folder / name).read_bytes() for name in found.manifest.files}
    except OSError as error:
        raise FileInaccessible(f"{error.filename} cannot be read ({error.strerror}).") from error
    contents |= compiled.contents
    write_bundle(out, found.manifest.model_copy(update={"files": hash_files(contents)}), contents)
    Classifier(load_bundle(out)).verify_golden()
    return compiled.report
