"""Imports Keras and TensorFlow without the messages that their native code prints when it starts."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module


def import_keras() -> None:
    """Import Keras with its backend; later imports of either find it loaded. Raises ``ImportError``.

    TensorFlow prints notes on the processor before any setting of its log level takes effect.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # By itself, TensorFlow uses oneDNN only on processors with AVX512-VNNI or AMX. With AVX2 it halves the time of the
    # frozen layers, and a step of training takes three quarters.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _native_stderr_kept_back():
        import_module("keras")
    # Hides advice on "tf.function retracing", given from a process's second training on: each has its own network.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextmanager
def _native_stderr_kept_back() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and pass it on only if the body fails."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        # There is no standard error.
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            kept.seek(0)
            with suppress(OSError):
                os.write(2, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
