"""The recipe of a run that tests make by hand."""

from __future__ import annotations

from trainer.training.options import TrainOptions


def recipe_without_epochs(*, data: str, out: str, description: str | None, alpha: float, weights: str) -> TrainOptions:
    """Options of a run that trains nothing: what is tested is made of its files."""
    return TrainOptions(
        data=data,
        out=out,
        description=description,
        alpha=alpha,
        weights=weights,
        preprocessing="rgb@1",
        denoise="median3",
        seed=1,
        test_share=0.1,
        validation_share=0.1,
        variants=1,
        epochs=0,
        teacher=(),
        split=None,
    )
