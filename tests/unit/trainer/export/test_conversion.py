from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.errors import ConversionError
from trainer.export.conversion import convert_to_int8
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, LOGITS


def test_a_network_without_a_middle_map_is_refused() -> None:
    inputs = keras.Input((224, 224, 3))
    # A single convolution in place of the backbone converts faster.
    last = keras.layers.Conv2D(4, 32, strides=32)(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(last)
    network = keras.Model(inputs, {LOGITS: pooled, CLASS_ACTIVATION_MAP: last, FEATURES: pooled})
    with pytest.raises(ConversionError, match="signature"):
        convert_to_int8(network, np.zeros((2, 224, 224, 3), np.uint8))
