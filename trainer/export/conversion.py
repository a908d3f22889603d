"""Full-integer conversion of a network to TFLite, and the checks that a file must pass to ship.

The only module that needs TensorFlow itself. It uses per-channel int8 weights, int8 in and out, and static shapes: what
LiteRT, tflite-runtime and the frozen Edge TPU compiler all support.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from tensorflow.lite.python.convert import ConverterError

from trainer.errors import ConversionError, RunError
from trainer.export.edge_tpu import check_versions
from trainer.networks.network import to_network_input
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_NAME, LOGITS, MIDDLE_MAP, SIGNATURE


def convert_to_int8(network: keras.Model, representative: NDArray[np.uint8]) -> bytes:
    """The network as a full-integer TFLite file.

    ``representative`` are preprocessed training images of the input's shape, uint8 (n, h, w, 3), from which the ranges
    of all activations are taken. A black and a white image are added, so that the input's range is that of the pixels
    whatever the images hold. Raises ``ConversionError``.
    """
    shape = network.input_shape[1:]
    extremes = np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)])

    def calibration() -> Iterator[dict[str, NDArray[np.float32]]]:
        for images in (representative, extremes):
            for image in images:
                yield {INPUT_NAME: to_network_input(image[None])}

    # The weights become constants of the graph: TFLite's calibration does not initialise variables.
    trainable = [tf.constant(variable.numpy()) for variable in network.trainable_variables]
    others = [tf.constant(variable.numpy()) for variable in network.non_trainable_variables]
    serve = tf.function(
        lambda image: network.stateless_call(trainable, others, image, training=False)[0],
        input_signature=[tf.TensorSpec((1, *shape), tf.float32, name=INPUT_NAME)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve.get_concrete_function()], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    try:
        with warnings.catch_warnings():
            # The converter calibrates with TensorFlow's own interpreter, which warns its callers that it is deprecated.
            warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            model: bytes = converter.convert()
    except (ConverterError, RuntimeError, ValueError) as error:
        # The converter's message buries the reason in source locations and the whole graph.
        reasons = re.findall(r"error: (.+)", str(error)) or [str(error)]
        raise ConversionError(f"TFLite cannot convert the network: {reasons[0]}.") from error
    check_int8(model)
    return model


def check_int8(model: bytes) -> None:
    """Check that a file keeps a bundle's promises. Raises ``ConversionError``.

    It must have integers only, no op or version of an op outside the few that the network needs (so no float fallback,
    Flex or custom op), static shapes, and the agreed names in the signature.
    """
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    for tensor in interpreter.get_tensor_details():
        if tensor["dtype"] not in (np.int8, np.int32):
            raise ConversionError(f"tensor {tensor['name']} is {np.dtype(tensor['dtype'])}, not an integer.")
        if (tensor["shape_signature"] < 0).any():
            raise ConversionError(f"tensor {tensor['name']} has no static shape.")
    check_versions(operations(model))
    signature = interpreter.get_signature_list().get(SIGNATURE, {})
    names = {kind: set(signature.get(kind, ())) for kind in ("inputs", "outputs")}
    if names != {"inputs": {INPUT_NAME}, "outputs": {LOGITS, CLASS_ACTIVATION_MAP, FEATURES, MIDDLE_MAP}}:
        raise ConversionError(f"the signature {SIGNATURE} has {names}.")


def input_quantization(model: bytes) -> tuple[float, int]:
    """Scale and zero point of the file's input: real = scale * (value - zero point). Raises ``RunError``."""
    (details,) = _interpreter(model).get_input_details()
    scale, zero_point = details["quantization"]
    return float(scale), int(zero_point)


def middle_channels(model: bytes) -> int:
    """Channels of the file's middle map. Raises ``RunError``."""
    details = _interpreter(model).get_signature_runner(SIGNATURE).get_output_details()
    return int(details[MIDDLE_MAP]["shape"][-1])


def _interpreter(model: bytes) -> Interpreter:
    try:
        return Interpreter(model_content=model)
    except (ValueError, RuntimeError) as error:
        raise RunError(
            f"the run's model.tflite is damaged: {error}.", remedy="Remove it and quantize the run again."
        ) from error


def operations(model: bytes) -> dict[str, int]:
    """The ops of a TFLite file, named as in the TFLite schema ("CUSTOM" for a custom one), with their versions."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    return {names[max(code.builtinCode, code.deprecatedBuiltinCode)]: code.version for code in parsed.operatorCodes}
