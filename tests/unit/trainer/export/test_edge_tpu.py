from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainer.errors import ConversionError
from trainer.export.edge_tpu import NEWEST_VERSIONS, check_versions, compile_for_edge_tpu, read_log

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
    """Puts a program of the compiler's name in the way: the real one may not be passed on."""
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_without_the_compiler_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_for_edge_tpu(tmp_path / "model.tflite", tmp_path) is None


def test_the_compilers_log_is_read_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Called as documented: the log and the file go to the folder of --out_dir.
    _compiler(
        tmp_path,
        '[ "$1 $2" = "--show_operations --out_dir" ] || exit 9\n'
        f'cat > "$3/model_edgetpu.log" <<END\n{HEAD}{MAPPED}END\n',
        monkeypatch,
    )
    found = compile_for_edge_tpu(tmp_path / "model.tflite", tmp_path)
    assert found is not None
    assert found.operations_count == 65


def test_a_failing_compiler_is_an_error_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _compiler(tmp_path, f"cat <<END\n{HEAD}{MAPPED}END\necho 'Invalid model' >&2; exit 1\n", monkeypatch)
    with pytest.raises(ConversionError, match="Invalid model"):
        compile_for_edge_tpu(tmp_path / "model.tflite", tmp_path)
