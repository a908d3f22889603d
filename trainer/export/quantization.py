"""'trainer quantize': converts a run's float network to an int8 file that every runtime supports."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from edge_agent.inference.bundle import EDGE_TPU_MODEL
from edge_agent.settings import Settings
from edge_agent.vision.preprocessing import preprocess
from trainer.data.dataset import ImageFile, read_files
from trainer.data.split import Part, in_part, read_split
from trainer.errors import RunError
from trainer.export.conversion import convert_to_int8, operations
from trainer.export.edge_tpu import EDGE_TPU_REPORT, Compiled, compile_for_edge_tpu, require_compiler
from trainer.files import check_output_folder, replacing, write_json
from trainer.networks.network import restore_network
from trainer.training.run import MODEL, QUANTIZATION, SPLIT, WEIGHTS, RunConfig, read_config

REPRESENTATIVE_COUNT = 300
"""Training images from which the ranges of the activations are taken."""


class Quantization(Settings):
    """``quantization.json``: what the int8 file is."""

    model_sha256: str
    model_bytes: int
    representative_count: int = Field(description="Training images that set the ranges of the activations.")
    operations: dict[str, int] = Field(description="Each op of the file and the version that it needs.")
    edge_tpu: Compiled | None = Field(description="What the Edge TPU's compiler said; null if it was not asked.")


def quantize(run: Path, data: Path, *, edgetpu: bool = False) -> Quantization:
    """Convert a finished run, calibrated on its training images only, and write ``model.tflite`` into its folder.

    With ``edgetpu``, a model compiled for an Edge TPU is written beside it. Raises ``TrainerError``, such as
    ``CompilerMissing`` before anything is computed.
    """
    if edgetpu:
        require_compiler()
    if (run / MODEL).exists():
        raise RunError(f"{run} has been quantized already.", remedy=f"Remove {MODEL} there to quantize it again.")
    check_output_folder(run)
    config = read_config(run)
    training = in_part(read_split(run / SPLIT, data), Part.TRAIN)
    options = config.options
    network = restore_network(run / WEIGHTS, options.alpha, len(config.dataset.codes), options.network)
    representative = _representative(config, data, training)
    model = convert_to_int8(network, representative)
    compiled = compile_for_edge_tpu(model) if edgetpu else None
    found = Quantization(
        model_sha256=hashlib.sha256(model).hexdigest(),
        model_bytes=len(model),
        representative_count=len(representative),
        operations=operations(model),
        edge_tpu=None if compiled is None else compiled.report,
    )
    write_json(run / QUANTIZATION, found)
    for name, content in ({} if compiled is None else compiled.contents).items():
        with replacing(run / name) as file:
            file.write(content)
    with replacing(run / MODEL) as file:
        file.write(model)
    return found


def read_model(run: Path) -> bytes:
    """The int8 file of a quantized run. Raises ``RunError``."""
    remedy = "Run 'trainer quantize' on it first."
    try:
        model = (run / MODEL).read_bytes()
        expected = Quantization.model_validate_json((run / QUANTIZATION).read_bytes()).model_sha256
    except OSError as error:
        raise RunError(f"{error.filename} cannot be read ({error.strerror}).", remedy=remedy) from error
    except ValidationError as error:
        raise RunError(f"{run / QUANTIZATION} is damaged: {error.errors()[0]['msg']}.", remedy=remedy) from error
    if hashlib.sha256(model).hexdigest() != expected:
        raise RunError(
            f"{run / MODEL} is not the file that 'trainer quantize' wrote.",
            remedy="Remove it and quantize the run again.",
        )
    return model


def read_compiled(run: Path) -> dict[str, bytes]:
    """The files that 'trainer quantize --edgetpu' wrote beside the int8 file, by name; empty if there are none.

    Raises ``RunError``, as ``read_model`` does.
    """
    try:
        expected = Quantization.model_validate_json((run / QUANTIZATION).read_bytes()).edge_tpu
        if expected is None or expected.sha256 is None:
            return {}
        contents = {name: (run / name).read_bytes() for name in (EDGE_TPU_MODEL, EDGE_TPU_REPORT)}
    except OSError as error:
        raise RunError(
            f"{error.filename} cannot be read ({error.strerror}).", remedy="Quantize the run again."
        ) from error
    if hashlib.sha256(contents[EDGE_TPU_MODEL]).hexdigest() != expected.sha256:
        raise RunError(
            f"{run / EDGE_TPU_MODEL} is not the file that was compiled.", remedy="Remove it and quantize the run again."
        )
    return contents


def _representative(config: RunConfig, data: Path, files: list[ImageFile]) -> NDArray[np.uint8]:
    """A few hundred preprocessed training images, drawn with the run's seed."""
    rng = np.random.default_rng(config.options.seed)
    chosen = rng.permutation(len(files))[:REPRESENTATIVE_COUNT]
    fields = read_files(data, [files[index] for index in chosen], config.dataset.geometry)
    return np.stack([preprocess(field, config.options.preprocessing, config.options.denoise) for field in fields])
