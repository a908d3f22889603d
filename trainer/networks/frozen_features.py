"""Outputs of the frozen layers for variants of images: computed once, kept on disk, read in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.preprocessing import preprocess
from trainer.augmentation.variants import Vary
from trainer.errors import RunError
from trainer.files import replacing
from trainer.networks.network import to_network_input
from trainer.progress import track

_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Variants:
    """One variant of each field (uint8 RGB, (n, 224, 224, 3)), preprocessed.

    ``vary`` is applied before the preprocessing. Each field has its own generator, made from ``seed``, so that results
    do not depend on the order of the work.
    """

    fields: NDArray[np.uint8]
    preprocessing: str
    denoise: str
    vary: Vary | None = None
    seed: tuple[int, ...] = (0,)

    def batches(self, what: str) -> Iterator[NDArray[np.float32]]:
        """The network's inputs, float32 (up to 32, 224, 224, 3), with a progress bar that says ``what``."""
        generators = [np.random.default_rng(each) for each in np.random.SeedSequence(self.seed).spawn(len(self.fields))]
        for start in track(range(0, len(self.fields), _BATCH), what):
            batch = slice(start, start + _BATCH)
            yield to_network_input(
                np.stack(
                    [
                        preprocess(self.vary(field, rng) if self.vary else field, self.preprocessing, self.denoise)
                        for field, rng in zip(self.fields[batch], generators[batch], strict=True)
                    ]
                )
            )


def cache_outputs(outputs: Mapping[Path, keras.Model], variants: Variants, what: str) -> None:
    """Write each model's output for the variants to its ``.npy`` file as float16 (n, ...), unless all files exist.

    A file appears once it is complete: a kill or a full disk leaves no partial file. Raises ``OutputUnwritable``.
    """
    if all(path.exists() for path in outputs):
        return
    collected: dict[Path, list[NDArray[np.float16]]] = {path: [] for path in outputs}
    for batch in variants.batches(what):
        for path, model in outputs.items():
            collected[path].append(np.asarray(model.predict_on_batch(batch)).astype(np.float16))
    for path, parts in collected.items():
        with replacing(path) as file:
            np.save(file, np.concatenate(parts))


def read_outputs(path: Path, *, mapped: bool = False) -> NDArray[np.float16]:
    """Read a file of ``cache_outputs``, float16 (n, ...); with ``mapped``, only as needed. Raises ``RunError``."""
    try:
        return np.asarray(np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))
    except (OSError, EOFError, ValueError) as error:
        raise RunError(
            f"{path} is damaged: {error}.",
            remedy="Remove it and give the same command again: it is then computed again.",
        ) from error
