"""Other networks, frozen, with a linear head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.comparison.classifier import Fields, LabelledFields, Scores
from trainer.errors import WeightsError
from trainer.spec import INPUT_SIZE_PX
from trainer.training.head import Head, fit_head

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network from Keras that is used frozen, with a linear head."""

    build: Callable[..., keras.Model]
    to_input: Callable[[NDArray[np.float32]], NDArray[np.float32]]


ARCHITECTURES: dict[str, Architecture] = {
    "EfficientNetB0": Architecture(keras.applications.EfficientNetB0, keras.applications.efficientnet.preprocess_input),
    "NASNetMobile": Architecture(keras.applications.NASNetMobile, keras.applications.nasnet.preprocess_input),
    "VGG16": Architecture(keras.applications.VGG16, keras.applications.vgg16.preprocess_input),
}


def check_keras_weights(path: Path) -> None:
    """Raise ``WeightsError`` unless ``path`` is a file of one of Keras' formats: HDF5 or, since Keras 3, ZIP."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise WeightsError(f"weights {path} cannot be read ({error.strerror}).", remedy="Correct --other.") from error
    if not start.startswith((b"\x89HDF", b"PK")):
        raise WeightsError(f"{path} is not a Keras weights file.", remedy="Give an .h5 or .keras file as --other.")


class TransferClassifier:
    """Frozen, pooled features of another network with a linear head, which is also how training starts here."""

    def __init__(self, name: str, weights: str, training: LabelledFields, validation: LabelledFields) -> None:
        """``weights`` is a Keras weights file without the top, or "imagenet" to download. Raises ``WeightsError``."""
        architecture = ARCHITECTURES[name]
        try:
            self._backbone = architecture.build(
                include_top=False, weights=weights, input_shape=(INPUT_SIZE_PX, INPUT_SIZE_PX, 3), pooling="avg"
            )
        except Exception as error:  # Keras raises a bare Exception when a download fails.
            raise WeightsError(f"{name} cannot be loaded with weights {weights}: {error}.") from error
        self._to_input = architecture.to_input
        self._head: Head = fit_head(
            (self._features(training.fields), training.labels),
            (self._features(validation.fields), validation.labels),
        )[0]
        self.size_bytes = 4 * (self._backbone.count_params() + self._head.coefficients.size)

    def scores(self, fields: Fields) -> Scores:
        """See ``ComparedClassifier``."""
        return self._head.logits(self._features(fields))

    def _features(self, fields: Fields) -> NDArray[np.float32]:
        return np.concatenate(
            [
                np.asarray(
                    self._backbone.predict_on_batch(self._to_input(fields[start : start + _BATCH].astype(np.float32)))
                )
                for start in range(0, len(fields), _BATCH)
            ]
        )
