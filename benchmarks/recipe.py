"""The published recipe in a plain implementation, which the device has to beat."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Pixels = NDArray[np.uint8]

SIZE_PX = 224


def published_recipe(clusters: int = 3) -> Callable[[Pixels], NDArray[np.float32]]:
    """Resize, non-local means, CIE LAB, k-means of the A channel, cells cut out, MobileNetV2 in float.

    Colour conversion and denoising are OpenCV's, k-means is scikit-learn's with its ten starts, and the network (random
    weights, at the same cost) is run by the TFLite runtime. The function takes a uint8 RGB array of any size. Raises
    ``ImportError`` without TensorFlow to convert the network with.
    """
    invoke = _float_network()

    def judge(rgb: Pixels) -> NDArray[np.float32]:
        field = cv2.resize(rgb, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
        denoised = cv2.fastNlMeansDenoisingColored(field, None, 10, 10, 7, 21)
        a_channel = cv2.cvtColor(denoised, cv2.COLOR_RGB2LAB)[:, :, 1]
        points = a_channel.reshape(-1, 1).astype(np.float64)
        fit = KMeans(clusters, n_init=10, random_state=0).fit(points)
        nuclei = (fit.labels_ == int(np.argmax(fit.cluster_centers_))).reshape(a_channel.shape)
        segmented = np.where(nuclei[:, :, None], denoised, 0)
        return invoke(segmented.astype(np.float32) / 127.5 - 1)

    return judge


def _float_network() -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    import keras  # noqa: PLC0415 - only this case needs TensorFlow
    import tensorflow as tf  # noqa: PLC0415 - as above
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - a device may have tflite-runtime instead

    network = keras.applications.MobileNetV2((SIZE_PX, SIZE_PX, 3), weights=None, classes=4)
    # Keras would print every variable to the output of the figures.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def invoke(image: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter.set_tensor(entry, image[None])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(result)[0], np.float32)

    return invoke
