"""Runs the model of a verified bundle on preprocessed fields."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import HeadManifest, Label, Manifest, ModelIdentity
from edge_agent.contracts.manifest import Evidence, Reference, Thresholds, TrainingAppearance
from edge_agent.errors import BundleMismatch, GoldenMismatch, HeadMismatch
from edge_agent.inference.bundle import EDGE_TPU_MODEL, MODEL, Bundle, Golden, load_golden
from edge_agent.inference.edgetpu.compiled_model import CompiledModel, Outputs
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.features import FEATURES
from edge_agent.inference.head import Head, load_head
from edge_agent.inference.probabilities import bundle_probabilities, softmax
from edge_agent.inference.runtime import Runtime, Tensor
from edge_agent.inference.signature import Trust
from edge_agent.vision.preprocessing import preprocess

PIXEL_MEAN = PIXEL_SCALE = 127.5
"""MobileNetV2's input: a pixel p of 0 to 255 has the real value (p - 127.5) / 127.5."""

EDGE_TPU = "edge_tpu"
"""The accelerator's name in readings whose network it ran."""

_SIGN = np.uint8(128)

GOLDEN_LOGIT_STEPS = 10.0
"""Largest difference of logits from the golden ones, in quantization steps of the output: other kernels round sums
differently. Golden vectors are from x86-64. LiteRT's arm64 kernels were up to 6 steps away on the three shipped
bundles, and tflite-runtime 2.14 up to 3 on an earlier one."""

GOLDEN_UNFAMILIARITY_RATIO = 0.1
"""Largest relative difference of unfamiliarity scores from the golden ones; arm64 was up to 0.04 away."""

GOLDEN_HEAD_LOGITS_RATIO = 0.1
"""Largest difference of a head's logits from the golden ones, as a ratio to the largest of them."""

CONSISTENT_STEPS = 8.0
"""Largest difference between the class activation map's mean and the logits, which should be equal, in quantization
steps of the coarser of the two. Up to 3 on the shipped bundles, for random pixels, where both reach the limits of their
range."""

GOLDEN_PIXEL_LEVELS = 0.5
"""Largest mean absolute difference of preprocessed images from the golden ones, in levels of 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The network's output for one image."""

    probabilities: NDArray[np.float64]
    """(classes,), after the temperature; sums to 1."""
    logits: NDArray[np.float32]
    """(classes,)."""
    class_activation_map: NDArray[np.float32]
    """(rows, columns, classes): how much each part of the field speaks for each class; its mean is the logits."""
    features: NDArray[np.float32]
    """(channels,): the pooled last feature map."""
    middle_map: NDArray[np.float32]
    """(rows, columns, channels): the output of the layer whose statistics distinguish familiar from unfamiliar."""
    unfamiliarity_score: float
    """Distance from the training images; see ``Familiarity``."""
    accelerator: str | None = None
    """The accelerator that ran the network; None for the processor."""


class Classifier:
    """Runs a bundle's model, and the head that judges in place of its last layer. Belongs to one thread at a time."""

    def __init__(
        self, bundle: Bundle, *, head: Path | None = None, threads: int = 1, trust: Trust | None = None
    ) -> None:
        """Allocate the model and check it against the manifest.

        ``head`` is a head's folder, and ``trust`` says whose signatures of it count; without ``trust`` none is checked.
        Raises ``RuntimeMissing``, ``BundleError`` for an unreadable file, ``BundleMismatch`` if tensors and manifest
        disagree, ``HeadError``, and the errors of ``verify_signature`` for the head.
        """
        self.bundle = bundle
        self.threads_count = threads
        """Threads of the runtime."""
        self._runtime = Runtime(bundle.contents[MODEL], threads=threads)
        _check_tensors(bundle.manifest, self._runtime)
        middle_map = self._runtime.outputs[bundle.manifest.outputs.middle_map]
        self._familiarity = Familiarity.load(bundle, middle_map.shape[-1])
        self.head = None if head is None else load_head(head, bundle, middle_map.shape[-1], trust)
        self._kind = None if self.head is None else FEATURES[self.head.manifest.features]
        # As unsigned bytes, for OpenCV's look-up, even if the input is signed.
        self._table = quantization_table(self._runtime.input).view(np.uint8)
        # As of a network that takes levels less 128.
        self._only_signed = bool((self._table == np.arange(256, dtype=np.uint8) ^ _SIGN).all())
        self._buffer = np.empty(self._runtime.input.shape, self._runtime.input.dtype)
        self.blast_offset = 0.0
        """Added to the blast's log-odds if the bundle's rule is ``blast-first@1``, but not with a head. May be set."""
        # A weak reference, as the model refers to this object: the Edge TPU keeps the model while it serves it.
        self._edge_tpu: tuple[EdgeTpu, weakref.ref[CompiledModel]] | None = None

    @property
    def has_compiled_model(self) -> bool:
        """Whether the bundle has a model for an Edge TPU."""
        return EDGE_TPU_MODEL in self.bundle.contents

    def accelerate(self, edge_tpu: EdgeTpu) -> None:
        """Judge on ``edge_tpu`` from now on, if it works, with the bundle's model for an Edge TPU if it has one.

        Raises ``BundleError`` for an unreadable file.
        """
        if not self.has_compiled_model:
            edge_tpu.serve(None)
            return
        model = self._compiled_model()
        edge_tpu.serve(model)
        self._edge_tpu = edge_tpu, weakref.ref(model)

    @property
    def manifest(self) -> Manifest:
        """The bundle's manifest."""
        return self.bundle.manifest

    @property
    def _judge(self) -> Manifest | HeadManifest:
        """The manifest of the bundle or head that gives the labels."""
        return self.bundle.manifest if self.head is None else self.head.manifest

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels, in the order of the probabilities."""
        return self._judge.labels

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of the decision."""
        return self._judge.thresholds

    @property
    def evidence(self) -> Evidence | None:
        """The record that decides whether the labels may be used."""
        return self._judge.evidence

    @property
    def appearance(self) -> TrainingAppearance | None:
        """The appearance of the images that the labels were learnt from."""
        return self._judge.appearance

    @property
    def reference(self) -> Reference | None:
        """The model's answers for images that had no part in training."""
        return self._judge.reference

    @property
    def demonstration(self) -> bool:
        """Whether the bundle or the head was not trained on real smears."""
        return self.bundle.manifest.demonstration or self._judge.demonstration

    @property
    def identity(self) -> ModelIdentity:
        """The model's identity, as in every message."""
        manifest = self.manifest
        return ModelIdentity(
            name=manifest.name,
            version=manifest.version,
            sha256=manifest.files[MODEL],
            preprocessing=manifest.preprocessing.id,
            runtime=self._runtime.name,
            signature=self.bundle.signature,
            head=None if self.head is None else self.head.identity,
        )

    def classify(self, image: NDArray[np.uint8]) -> Classification:
        """Classify a preprocessed uint8 image of the input's shape (h, w, 3). Raises ``InferenceError``."""
        return self.classify_all([image])[0]

    def classify_all(self, images: Sequence[NDArray[np.uint8]]) -> list[Classification]:
        """Classify several images in less time: the work around the network is done once for all. As ``classify``."""
        if not images:
            return []
        outputs, accelerator = self._outputs(images)
        return self._describe(images, outputs, accelerator)

    def _describe(
        self, images: Sequence[NDArray[np.uint8]], outputs: Outputs, accelerator: str | None = None
    ) -> list[Classification]:
        """The answers of the head, or else of the bundle, from the network's outputs for images."""
        head, kind = self.head, self._kind
        if head is None or kind is None:
            return self._as_bundle(images, outputs, accelerator)
        names = self.manifest.outputs
        found = []
        for at, image in enumerate(images):
            middle_map = outputs[names.middle_map][at]
            features = kind.describe(image, middle_map)
            logits = head.logits(features.values)
            found.append(
                Classification(
                    softmax(logits, head.manifest.temperature),
                    logits,
                    features.explain(head.weights, head.bias),
                    outputs[names.features][at],
                    middle_map,
                    float(head.unfamiliarity(features.values)),
                    accelerator,
                )
            )
        return found

    def run(self, image: NDArray[np.uint8]) -> Classification:
        """Classify with the bundle alone, without the head; as ``classify``."""
        return self._as_bundle([image], *self._outputs([image]))[0]

    def _outputs(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Outputs, str | None]:
        """The network's outputs, and the accelerator that ran it, None for the processor."""
        if len(images) > len(self._buffer):
            self._buffer = np.empty((len(images), *self._buffer.shape[1:]), self._buffer.dtype)
        values = self._buffer[: len(images)]
        self._quantize(images, values)
        if self._edge_tpu is not None:
            edge_tpu, served = self._edge_tpu
            model = served()
            found = None if model is None else edge_tpu.run(model, values)
            if found is not None:
                return found, EDGE_TPU
        return self._runtime.run(values), None

    def _quantize(self, images: Sequence[NDArray[np.uint8]], into: NDArray[np.integer]) -> None:
        """Write images into the network's input in its own format."""
        for image, values in zip(images, into.view(np.uint8), strict=True):
            if self._only_signed:
                np.bitwise_xor(image, _SIGN, out=values)
            else:
                cv2.LUT(image, self._table, dst=values)

    def _compiled_model(self) -> CompiledModel:
        golden = load_golden(self.bundle)
        inputs = np.empty((len(golden.image), *self._buffer.shape[1:]), self._buffer.dtype)
        self._quantize(list(golden.image), inputs)

        def check(number: int, outputs: Outputs) -> None:
            self._check_golden(golden, number, outputs)

        return CompiledModel(
            self.bundle.contents[EDGE_TPU_MODEL],
            self._runtime.input,
            self._runtime.outputs,
            inputs,
            check,
            self._is_consistent,
        )

    def _is_consistent(self, outputs: Outputs) -> bool:
        names = self.manifest.outputs
        logits, maps = outputs[names.logits], outputs[names.class_activation_map]
        tensors = self._runtime.outputs
        step = max(tensors[names.logits].scale, tensors[names.class_activation_map].scale)
        return bool(np.abs(maps.mean(axis=(1, 2)) - logits).max() <= CONSISTENT_STEPS * step)

    def _as_bundle(
        self, images: Sequence[NDArray[np.uint8]], outputs: Outputs, accelerator: str | None = None
    ) -> list[Classification]:
        names = self.manifest.outputs
        logits, middle_maps = outputs[names.logits], outputs[names.middle_map]
        probabilities = bundle_probabilities(logits, self.manifest, self.blast_offset)
        scores = self._familiarity.scores(images, middle_maps)
        return [
            Classification(
                probabilities[at],
                logits[at],
                outputs[names.class_activation_map][at],
                outputs[names.features][at],
                middle_maps[at],
                float(scores[at]),
                accelerator,
            )
            for at in range(len(images))
        ]

    def verify_golden(self) -> None:
        """Classify the bundle's golden fields and compare with the recorded outputs.

        Raises ``GoldenMismatch`` beyond ``GOLDEN_PIXEL_LEVELS``, ``GOLDEN_LOGIT_STEPS`` or
        ``GOLDEN_UNFAMILIARITY_RATIO``, ``BundleError`` for an unreadable file and ``InferenceError``.
        """
        golden = load_golden(self.bundle)
        manifest = self.manifest
        for number, (field, image) in enumerate(zip(golden.field, golden.image, strict=True)):
            prepared = preprocess(field, manifest.preprocessing.id, manifest.preprocessing.denoise)
            levels = float(np.abs(prepared.astype(np.int16) - image).mean())
            if levels > GOLDEN_PIXEL_LEVELS:
                raise GoldenMismatch(
                    f"Bundle '{manifest.name}': preprocessing gives another image on golden field {number} "
                    f"({levels:.2f} levels off on average)."
                )
            outputs, _ = self._outputs([image])
            self._check_golden(golden, number, outputs)

    def _check_golden(self, golden: Golden, number: int, outputs: Outputs) -> None:
        """Compare the network's outputs for a golden field with the recorded ones. Raises ``GoldenMismatch``, ..."""
        image, logits, unfamiliarity = golden.image[number], golden.logits[number], golden.unfamiliarity[number]
        name = self.manifest.name
        found = self._as_bundle([image], outputs)[0]
        step = self._runtime.outputs[self.manifest.outputs.logits].scale
        steps = float(np.abs(found.logits - logits).max()) / step
        if steps > GOLDEN_LOGIT_STEPS:
            raise GoldenMismatch(
                f"Bundle '{name}': the model gives other outputs on golden field {number} "
                f"({steps:.1f} quantization steps off)."
            )
        if not np.isclose(found.unfamiliarity_score, unfamiliarity, rtol=GOLDEN_UNFAMILIARITY_RATIO, atol=0):
            raise GoldenMismatch(
                f"Bundle '{name}': golden field {number} is unfamiliar by {found.unfamiliarity_score:.2f} instead of "
                f"{unfamiliarity:.2f}."
            )
        if self.head is not None:
            self._check_golden_head(self.head, golden, number, self._describe([image], outputs)[0])

    @staticmethod
    def _check_golden_head(head: Head, golden: Golden, number: int, found: Classification) -> None:
        name = head.manifest.name
        if len(head.golden_logits) != len(golden.image):
            raise HeadMismatch(f"Head '{name}' has other golden outputs than the bundle has golden fields.")
        logits, unfamiliarity = head.golden_logits[number], head.golden_unfamiliarity[number]
        difference = float(np.abs(found.logits - logits).max())
        if difference > GOLDEN_HEAD_LOGITS_RATIO * max(1.0, float(np.abs(logits).max())):
            raise GoldenMismatch(
                f"Head '{name}': its logits on golden field {number} are {difference:.2f} off on this machine."
            )
        if not np.isclose(found.unfamiliarity_score, unfamiliarity, rtol=GOLDEN_UNFAMILIARITY_RATIO, atol=0):
            raise GoldenMismatch(
                f"Head '{name}': golden field {number} is unfamiliar by {found.unfamiliarity_score:.2f} instead of "
                f"{unfamiliarity:.2f}."
            )


def quantization_table(tensor: Tensor) -> NDArray[np.integer]:
    """The input value of each pixel level, shape (256,), of the tensor's dtype.

    With a scale of 1 / 127.5 every level is half-way between two values, so halves are rounded up: rounding to even
    would merge two levels. The small addition compensates for the float32 rounding of the scale.
    """
    real = (np.arange(256) - PIXEL_MEAN) / PIXEL_SCALE
    steps = np.floor(real / tensor.scale + 0.5 + 1e-3) + tensor.zero_point
    info = np.iinfo(tensor.dtype)
    table: NDArray[np.integer] = np.clip(steps, info.min, info.max).astype(tensor.dtype)
    return table


def _check_tensors(manifest: Manifest, runtime: Runtime) -> None:
    """Raise ``BundleMismatch`` unless the model's tensors are what the manifest says."""
    name = manifest.name
    declared = manifest.input
    shape = (1, declared.height_px, declared.width_px, 3)
    if runtime.input.shape != shape or runtime.input.dtype.name != declared.dtype:
        raise BundleMismatch(
            f"Bundle '{name}': the model takes {runtime.input.dtype.name} {runtime.input.shape}, "
            f"the manifest says {declared.dtype} {shape}."
        )
    if not (
        np.isclose(runtime.input.scale, declared.scale, rtol=1e-5) and runtime.input.zero_point == declared.zero_point
    ):
        raise BundleMismatch(f"Bundle '{name}': scale or zero point of the input is not the manifest's.")
    classes = len(manifest.labels)
    for output, dimensions in (
        (manifest.outputs.logits, 2),
        (manifest.outputs.class_activation_map, 4),
        (manifest.outputs.features, 2),
        (manifest.outputs.middle_map, 4),
    ):
        if output not in runtime.outputs:
            raise BundleMismatch(
                f"Bundle '{name}': the model has no output '{output}', only {', '.join(sorted(runtime.outputs))}."
            )
        if len(runtime.outputs[output].shape) != dimensions:
            raise BundleMismatch(
                f"Bundle '{name}': output '{output}' has shape {runtime.outputs[output].shape}, "
                f"not {dimensions} dimensions."
            )
    for output in (manifest.outputs.logits, manifest.outputs.class_activation_map):
        if runtime.outputs[output].shape[-1] != classes:
            raise BundleMismatch(
                f"Bundle '{name}': the manifest has {classes} labels, the model's '{output}' "
                f"{runtime.outputs[output].shape[-1]}."
            )
