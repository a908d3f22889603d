from __future__ import annotations

import pytest

from trainer.spec import Network
from trainer.training.options import TrainOptions

BEFORE = {
    "data": "data",
    "out": "runs/mine",
    "description": None,
    "alpha": 1.0,
    "weights": "weights.npz",
    "preprocessing": "rgb@1",
    "denoise": "median3",
    "seed": 1,
    "test_share": 0.1,
    "validation_share": 0.1,
    "variants": 1,
    "epochs": 1,
    "teacher": (),
    "split": None,
}


@pytest.mark.parametrize(("alpha", "layer"), [(1.0, "block_9_add"), (0.35, "block_5_add")], ids=["wide", "narrow"])
def test_a_run_that_names_no_network_is_of_mobilenet_v2(alpha: float, layer: str) -> None:
    options = TrainOptions.model_validate({**BEFORE, "alpha": alpha})
    assert options.network is Network.MOBILENET_V2
    assert options.middle_layer == layer


def test_the_recorded_command_names_the_network() -> None:
    options = TrainOptions.model_validate({**BEFORE, "network": "efficientnet-lite0"})
    assert "--network efficientnet-lite0" in options.command()
    assert options.middle_layer == "block_7_add"
