"""Stands in for what a Coral needs: its library, its compiler, and the device itself."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edge_agent.inference.bundle import EDGE_TPU_MODEL, MANIFEST, MODEL, shipped_bundles
from edge_agent.inference.runtime import EDGE_TPU_OP

SOURCE = Path(__file__).with_name("fake_edgetpu.c")
NO_COMPILER = "needs a C compiler (cc)"


def build_library(folder: Path) -> Path:
    """The fake of libedgetpu.so.1, compiled."""
    library = folder / "libfakeedgetpu.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return library


def compile_stand_in(model: bytes) -> bytes:
    """A model with "edgetpu-custom-op" in it, after the input and before the logits, as the fake library runs it.

    Like the real compiler's it has no signature, and its outputs keep their names.
    """
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = parsed.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = EDGE_TPU_OP, 1
    parsed.operatorCodes.append(code)
    custom = len(parsed.operatorCodes) - 1
    (before,) = graph.inputs
    after = _like(graph, before, b"seen by the Edge TPU")
    for each in graph.operators:
        each.inputs = [after if tensor == before else tensor for tensor in each.inputs]
    (logits,) = (each for each in graph.outputs if len(graph.tensors[each].shape) == 2 and _is_logits(graph, each))
    given = _like(graph, logits, graph.tensors[logits].name)
    graph.tensors[logits].name = b"before the Edge TPU"
    graph.outputs = [given if each == logits else each for each in graph.outputs]
    graph.operators = [_custom(custom, before, after), *graph.operators, _custom(custom, logits, given)]
    parsed.signatureDefs = None
    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(parsed.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _is_logits(graph: Any, tensor: int) -> bool:
    """Of the two outputs with two dimensions, the one with few numbers."""
    return int(graph.tensors[tensor].shape[1]) < 64


def _like(graph: Any, tensor: int, name: bytes) -> int:
    other = copy.deepcopy(graph.tensors[tensor])
    other.name, other.buffer = name, 0
    graph.tensors.append(other)
    return len(graph.tensors) - 1


def _custom(code: int, given: int, made: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [given], [made]
    operator.customOptions = b"stand-in"
    return operator


def coral_bundle(folder: Path, name: str = "demo") -> Path:
    """A copy of a shipped bundle with a model for the Edge TPU."""
    shutil.copytree(shipped_bundles()[name], folder)
    add_compiled(folder, compile_stand_in((folder / MODEL).read_bytes()))
    return folder


def add_compiled(folder: Path, compiled: bytes) -> None:
    """Put a compiled model into a bundle, and name it in the manifest."""
    (folder / EDGE_TPU_MODEL).write_bytes(compiled)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][EDGE_TPU_MODEL] = hashlib.sha256(compiled).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


class FakeUsb:
    """A tree like /sys in which an Edge TPU comes and goes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._device = root / "bus" / "usb" / "devices" / "2-1"
        self._device.parent.mkdir(parents=True)

    def plug_in(self, ids: str = "18d1:9302") -> None:
        """As the kernel lists it: 1a6e:089a before its firmware is loaded, 18d1:9302 after."""
        self._device.mkdir()
        vendor, product = ids.split(":")
        (self._device / "idVendor").write_text(f"{vendor}\n")
        (self._device / "idProduct").write_text(f"{product}\n")
        (self._device / "speed").write_text("5000\n")

    def unplug(self) -> None:
        shutil.rmtree(self._device)


def main() -> None:
    """``edgetpu_compiler``: --show_operations --out_dir FOLDER MODEL."""
    *options, folder, path = sys.argv[1:]
    if options != ["--show_operations", "--out_dir"]:
        sys.exit(9)
    model = Path(path)
    out = Path(folder) / f"{model.stem}_edgetpu"
    out.with_suffix(".tflite").write_bytes(compile_stand_in(model.read_bytes()))
    report = (
        "Edge TPU Compiler version 16.0.384591198\n"
        "Off-chip memory used for streaming uncached model parameters: 0.00B\n"
        "Number of Edge TPU subgraphs: 1\n"
        "Operator                       Count      Status\n\n"
        "CONV_2D                        36         Mapped to Edge TPU\n"
    )
    out.with_suffix(".log").write_text(report)
    sys.stdout.write(report)


if __name__ == "__main__":
    main()
