"""'trainer synth': a data set of drawn smears, so that everything can be tested without real data."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from edge_agent.cameras.smear import DEFAULT_UM_PER_PIXEL, draw_smear
from trainer.data.description import FILE_NAME, Description, load_description
from trainer.errors import DataError
from trainer.files import holds_files, make_folder
from trainer.progress import track

DESCRIPTION = "synthetic"


def synthesise(out: Path, per_class: int, seed: int) -> Description:
    """Draw ``per_class`` PNG images of 224x224 px per class into class folders, with a ``dataset.toml``.

    Focus, noise, scale and the burnt-in scale bar vary from image to image, equally in all classes. The same seed draws
    the same images. Raises ``DataError`` if ``out`` is not empty, or ``OutputUnwritable``.
    """
    if holds_files(out):
        raise DataError(f"{out} is not empty.", remedy="Name a new folder.")
    make_folder(out)
    shutil.copyfile(str(resources.files("trainer") / "datasets" / f"{DESCRIPTION}.toml"), out / FILE_NAME)
    description = load_description(None, out)
    jobs = [(each, number) for each in description.classes for number in range(per_class)]
    generators = np.random.SeedSequence(seed).spawn(len(jobs))
    for (each, number), sequence in zip(track(jobs, "Drawing smears"), generators, strict=True):
        rng = np.random.default_rng(sequence)
        image, _ = draw_smear(
            rng,
            each.code,
            um_per_pixel=DEFAULT_UM_PER_PIXEL * rng.uniform(0.94, 1.06),
            focus_sigma_px=rng.uniform(0.3, 1.6),
            noise_sigma_levels=rng.uniform(0.0, 5.0),
            scale_bar=bool(rng.random() < 0.3),
        )
        folder = out / each.folder
        folder.mkdir(exist_ok=True)
        path = folder / f"{each.code}-{number:04d}.png"
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
    return description
