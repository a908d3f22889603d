"""Makes the bundles: data, training, quantization, evaluation. Never imported by ``edge_agent``.

The public interface is listed in ``__all__``. Names are imported when they are first used: TensorFlow, which training
and quantization need, takes seconds, and the extra ``leukoscope[trainer]`` may not be installed.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from trainer.data.dataset import Dataset, read_dataset
    from trainer.data.description import Description, load_description
    from trainer.data.split import Part, read_split
    from trainer.errors import TrainerError
    from trainer.evaluation.audit import Audit, audit
    from trainer.evaluation.evaluate import Evaluation, evaluate
    from trainer.evaluation.figures import Figures
    from trainer.evaluation.options import EvaluationOptions
    from trainer.export.bundle import bundle
    from trainer.export.identity import BundleIdentity
    from trainer.export.quantization import Quantization, quantize
    from trainer.training.options import TrainOptions
    from trainer.training.train import train

__all__ = [
    "Audit",
    "BundleIdentity",
    "Dataset",
    "Description",
    "Evaluation",
    "EvaluationOptions",
    "Figures",
    "Part",
    "Quantization",
    "TrainOptions",
    "TrainerError",
    "audit",
    "bundle",
    "evaluate",
    "load_description",
    "quantize",
    "read_dataset",
    "read_split",
    "train",
]

_MODULES = {
    "Audit": "evaluation.audit",
    "BundleIdentity": "export.identity",
    "Dataset": "data.dataset",
    "Description": "data.description",
    "Evaluation": "evaluation.evaluate",
    "EvaluationOptions": "evaluation.options",
    "Figures": "evaluation.figures",
    "Part": "data.split",
    "Quantization": "export.quantization",
    "TrainOptions": "training.options",
    "TrainerError": "errors",
    "audit": "evaluation.audit",
    "bundle": "export.bundle",
    "evaluate": "evaluation.evaluate",
    "load_description": "data.description",
    "quantize": "export.quantization",
    "read_dataset": "data.dataset",
    "read_split": "data.split",
    "train": "training.train",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
