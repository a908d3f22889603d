"""The network of a cells bundle: its outputs are as described, and its weights are kept."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.cells.training.network import (
    ALPHA,
    BLAST_FEATURES_COUNT,
    TYPES_LOGITS,
    CellsWeights,
    build_blast_features,
    build_cells_network,
    build_dark_area,
    build_frozen_maps,
    build_trunk,
    build_types_tail,
)
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.errors import WeightsError
from trainer.networks.backbone import build_backbone
from trainer.networks.weights import Weights, named_weights, read_weights, write_weights
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, LOGITS, MIDDLE_MAP

DARK_WEIGHT = 0.4
BIAS = -1.5


class Made(NamedTuple):
    imagenet: Weights
    trunk: keras.Model
    features: keras.Model
    maps: keras.Model
    tail: keras.Model
    weights: CellsWeights
    image: NDArray[np.float32]
    shared: NDArray[np.float32]
    outputs: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def made() -> Made:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    # Maps away from zero and with different spreads, like ImageNet's.
    imagenet = {
        name: rng.uniform(0.5, 2, value.shape).astype(np.float32) if name.endswith(("/beta", "/gamma")) else value
        for name, value in named_weights(build_backbone(ALPHA, side_px=WINDOW_PX)).items()
    }
    trunk, features, maps = build_trunk(imagenet), build_blast_features(imagenet), build_frozen_maps(imagenet)
    tail = build_types_tail(imagenet)
    blast = rng.normal(0, 0.3, BLAST_FEATURES_COUNT).astype(np.float32)
    weights = CellsWeights(imagenet, blast, BIAS, named_weights(tail), DARK_WEIGHT)
    image = rng.uniform(-1, 1, (3, WINDOW_PX, WINDOW_PX, 3)).astype(np.float32)
    return Made(
        imagenet,
        trunk,
        features,
        maps,
        tail,
        weights,
        image,
        np.asarray(trunk(image)),
        {name: np.asarray(each) for name, each in build_cells_network(weights)(image).items()},
    )


def test_the_first_logit_is_linear_in_means_and_mean_squares_of_frozen_maps(made: Made) -> None:
    maps = [made.shared, *map(np.asarray, made.maps(made.shared))]
    moments = [moment for of_map in maps for moment in (of_map.mean((1, 2)), (of_map**2).mean((1, 2)))]
    features = np.concatenate(moments, axis=1)
    assert np.allclose(made.features(made.shared), features, rtol=1e-3, atol=1e-4)
    dark = np.asarray(build_dark_area()(made.image))[:, 0]
    expected = features @ made.weights.blast_weights + DARK_WEIGHT * dark + BIAS
    assert np.allclose(made.outputs[LOGITS][:, 0], expected, atol=0.01)


def test_the_other_outputs_are_the_types_branch_and_the_last_frozen_map(made: Made) -> None:
    typed = made.tail(made.shared)
    assert np.allclose(made.outputs[LOGITS][:, 1:], typed[TYPES_LOGITS], atol=1e-4)
    assert np.allclose(made.outputs[FEATURES], typed[FEATURES], atol=1e-4)
    assert np.allclose(made.outputs[CLASS_ACTIVATION_MAP][:, 0, 0], made.outputs[LOGITS], atol=1e-5)
    assert made.outputs[MIDDLE_MAP].shape == (3, 6, 6, 32)
    assert np.allclose(made.outputs[MIDDLE_MAP], made.maps(made.shared)[-1], atol=1e-4)


def test_only_the_types_branch_learns(made: Made) -> None:
    assert not made.trunk.trainable_variables
    assert not made.features.trainable_variables
    assert len(made.tail.trainable_variables) > 50


def test_weights_are_read_as_they_were_written(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    made.weights.save(path)
    assert path.stat().st_size < 3e6
    loaded = CellsWeights.load(path)
    assert np.array_equal(loaded.blast_weights, made.weights.blast_weights)
    assert (loaded.blast_bias, loaded.dark_weight) == pytest.approx((BIAS, DARK_WEIGHT))
    assert set(loaded.tail) == set(made.weights.tail)
    # The weights suffice for the frozen layers, and contain none of the others.
    assert np.allclose(build_trunk(loaded.frozen)(made.image), made.shared, atol=1e-5)
    assert np.allclose(build_frozen_maps(loaded.frozen)(made.shared)[-1], made.outputs[MIDDLE_MAP], atol=1e-4)
    assert not any(name.startswith(("block_13", "block_16", "Conv_1")) for name in loaded.frozen)


def test_damaged_weights_are_one_clear_error(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    made.weights.save(path)
    whole = read_weights(path)
    for wrong, says in (
        ({key: value for key, value in whole.items() if key != "blast/bias"}, "no weights of a cells network"),
        ({**whole, "blast/weights": np.zeros(3, np.float32)}, "no weights of a cells network"),
        ({**whole, "blast/bias": np.array(np.nan, np.float32)}, "no numbers"),
    ):
        write_weights(path, wrong)
        with pytest.raises(WeightsError, match=says):
            CellsWeights.load(path)
    path.write_bytes(b"PK")
    with pytest.raises(WeightsError, match="cannot be read"):
        CellsWeights.load(path)
