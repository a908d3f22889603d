"""The trainer with only the device's dependencies installed, as after 'make demo'."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXTRA = ("sklearn", "scipy", "matplotlib", "tensorflow", "keras")
_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from trainer.cli import main
main({words})
"""
_COMMANDS = {
    "prepare": ("--data", "d", "--out", "s.csv"),
    "audit": ("--data", "d"),
    "train": ("--data", "d", "--out", "r", "--weights", "w.npz"),
    "quantize": ("--run", "r", "--data", "d"),
    "bundle": ("--run", "r", "--data", "d", "--out", "b", "--name", "x", "--version", "0.0.1"),
    "evaluate": ("--bundle", "demo", "--data", "d", "--split", "s.csv"),
    "compare": ("--data", "d", "--split", "s.csv", "--weights", "1.0=w.npz", "--out", "c"),
    "many-laboratories": ("--runs", "r", "--data", "d", "--weights", "w.npz", "--out", "o"),
    "probe": ("--data", "d", "--table", "t.csv", "--weights", "w.npz", "--out", "p"),
}


def _without(missing: tuple[str, ...], *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = _WITHOUT.format(missing=set(missing), words=list(words))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=cwd)


# Any of them imports the modules of all commands.
@pytest.mark.parametrize("command", ["", "train"])
def test_help_needs_no_extra(command: str, tmp_path: Path) -> None:
    done = _without(EXTRA, *command.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout


def test_drawing_smears_needs_no_extra(tmp_path: Path) -> None:
    done = _without(EXTRA, "synth", "--out", "drawn", "--per-class", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_without_the_extra_says_how_to_install_it(command: str, tmp_path: Path) -> None:
    _is_one_error(_without(EXTRA, command, *_COMMANDS[command], cwd=tmp_path))


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("evaluate", "matplotlib"),
        ("audit", "matplotlib"),
        ("audit", "sklearn"),
        ("evaluate", "scipy"),
        ("quantize", "tensorflow"),
    ],
)
def test_a_single_missing_package_is_named_before_anything_is_computed(
    command: str, missing: str, tmp_path: Path
) -> None:
    out = ("--out", "figures") if command in {"evaluate", "audit"} else ()
    done = _without((missing,), command, *_COMMANDS[command], *out, cwd=tmp_path)
    _is_one_error(done)
    assert f"package {missing}," in done.stderr


def _is_one_error(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error dependency_missing: ")
    assert "pip install 'leukoscope[trainer]'" in done.stderr
    assert "make test" in done.stderr
    assert "Traceback" not in done.stderr
