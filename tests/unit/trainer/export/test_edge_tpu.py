from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from edge_agent.inference import load_bundle, shipped_bundles
from tests.edge_tpu import stand_in
from trainer.cli.entry_point import main as run_trainer
from trainer.errors import CompilerMissing, ConversionError, RunError
from trainer.export.edge_tpu import (
    NEWEST_VERSIONS,
    CompiledFiles,
    check_compiled,
    check_versions,
    compile_for_edge_tpu,
    read_log,
)
from trainer.export.quantization import Quantization, read_compiled

HEAD = """\
Edge TPU Compiler version 16.0.384591198
Off-chip memory used for streaming uncached model parameters: 0.00B
Operator                       Count      Status

"""
MAPPED = """\
ADD                            10         Mapped to Edge TPU
CONV_2D                        36         Mapped to Edge TPU
DEPTHWISE_CONV_2D              17         Mapped to Edge TPU
MEAN                           2          Mapped to Edge TPU
"""


def test_all_ops_mapped_is_what_is_wanted() -> None:
    found = read_log(HEAD + MAPPED)
    assert (found.version, found.operations_count, found.streamed_parameters) == ("16.0.384591198", 65, "0.00B")


def test_a_row_that_is_printed_and_logged_counts_once() -> None:
    assert read_log(HEAD + MAPPED + HEAD + MAPPED).operations_count == 65


def test_an_op_left_on_the_cpu_is_an_error_that_names_it() -> None:
    left = "MEAN                           2          More than one subgraph is not supported\n"
    with pytest.raises(ConversionError, match=r"2 MEAN \(More than one subgraph is not supported\)"):
        read_log(HEAD + MAPPED + left)


@pytest.mark.parametrize("text", ["", "Internal compiler error. Aborting!"])
def test_a_log_without_ops_is_no_success(text: str) -> None:
    with pytest.raises(ConversionError, match="lists no ops"):
        read_log(text)


def test_known_ops_of_known_versions_pass() -> None:
    check_versions(NEWEST_VERSIONS)
    check_versions({"CONV_2D": 1})


@pytest.mark.parametrize(("operations", "complaint"), [({"CUSTOM": 1}, "CUSTOM"), ({"CONV_2D": 6}, "version 6")])
def test_an_unknown_op_or_version_is_refused(operations: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConversionError, match=complaint):
        check_versions(operations)


def _compiler(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program with the compiler's name first in the path: the real compiler may not be redistributed."""
    folder.mkdir(exist_ok=True)
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


MODEL = (shipped_bundles()["demo"] / "model.tflite").read_bytes()
STAND_IN = f'exec "{sys.executable}" "{stand_in.__file__}" "$@"\n'
"""Fails unless called as documented; the compiled file and the log are written to the folder of --out_dir."""


def test_without_the_compiler_one_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompilerMissing, match=r"not installed.*coral\.ai"):
        compile_for_edge_tpu(MODEL)


def test_what_the_compiler_makes_and_reports_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _compiler(tmp_path, STAND_IN, monkeypatch)
    found = compile_for_edge_tpu(MODEL)
    assert found.report.operations_count == 36
    assert set(found.contents) == {"model_edgetpu.tflite", "model_edgetpu.log"}
    assert found.report.sha256 == hashlib.sha256(found.contents["model_edgetpu.tflite"]).hexdigest()
    assert b"Mapped to Edge TPU" in found.contents["model_edgetpu.log"]


def test_a_failing_compiler_is_an_error_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _compiler(tmp_path, f"cat <<END\n{HEAD}{MAPPED}END\necho 'Invalid model' >&2; exit 1\n", monkeypatch)
    with pytest.raises(ConversionError, match="Invalid model"):
        compile_for_edge_tpu(MODEL)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        ("", "wrote no file"),
        ('cp "$4" "$3/model_edgetpu.tflite"\n', "no op for an Edge TPU"),
        ('printf edgetpu-custom-op > "$3/model_edgetpu.tflite"\n', "cannot be read"),
    ],
    ids=["nothing", "not compiled", "garbage"],
)
def test_a_compiler_that_made_no_compiled_model_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str, complaint: str
) -> None:
    _compiler(tmp_path, f"{make}cat <<END\n{HEAD}{MAPPED}END\n", monkeypatch)
    with pytest.raises(ConversionError, match=complaint):
        compile_for_edge_tpu(MODEL)


def test_a_compiled_file_of_another_model_is_refused() -> None:
    other = stand_in.compile_stand_in((shipped_bundles()["fast"] / "model.tflite").read_bytes())
    with pytest.raises(ConversionError, match="other inputs or outputs"):
        check_compiled(MODEL, other)


def test_a_bundle_gets_a_model_for_the_edge_tpu_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _compiler(tmp_path / "bin", STAND_IN, monkeypatch)
    with pytest.raises(SystemExit) as ended:
        run_trainer(["coral", "--bundle", "demo", "--out", str(tmp_path / "out")])
    assert not ended.value.code
    assert "all 36 ops run on the Edge TPU" in capsys.readouterr().err
    found, before = load_bundle(tmp_path / "out"), load_bundle("demo")
    assert set(found.manifest.files) - set(before.manifest.files) == {"model_edgetpu.tflite", "model_edgetpu.log"}
    unchanged = found.manifest.model_copy(update={"files": before.manifest.files})
    assert unchanged == before.manifest
    assert found.contents["model.tflite"] == before.contents["model.tflite"]


def test_a_run_without_the_compiler_is_not_quantized_for_minutes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run_trainer(["quantize", "--edgetpu", "--run", str(tmp_path), "--data", str(tmp_path)])
    assert ended.value.code == 2
    assert "edgetpu_compiler_missing" in capsys.readouterr().err


def _quantized(run: Path, compiled: CompiledFiles | None) -> None:
    found = Quantization(
        model_sha256=hashlib.sha256(MODEL).hexdigest(),
        model_bytes=len(MODEL),
        representative_count=1,
        operations={},
        edge_tpu=None if compiled is None else compiled.report,
    )
    (run / "quantization.json").write_text(found.model_dump_json())
    for name, content in ({} if compiled is None else compiled.contents).items():
        (run / name).write_bytes(content)


def test_a_bundle_of_a_run_takes_what_was_compiled_and_only_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    _quantized(run, None)
    assert read_compiled(run) == {}
    _compiler(tmp_path / "bin", STAND_IN, monkeypatch)
    compiled = compile_for_edge_tpu(MODEL)
    _quantized(run, compiled)
    assert read_compiled(run) == compiled.contents
    (run / "model_edgetpu.tflite").write_bytes(b"other")
    with pytest.raises(RunError, match="not the file that was compiled"):
        read_compiled(run)
