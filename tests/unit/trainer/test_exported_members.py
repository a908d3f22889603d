"""The trainer's public interface: its exports exist, are complete, and cost nothing until they are used."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import trainer


def test_every_exported_name_exists() -> None:
    for name in trainer.__all__:
        assert getattr(trainer, name).__name__ == name


def test_exported_names_are_public_distinct_and_sorted() -> None:
    names = trainer.__all__
    assert not [name for name in names if name.startswith("_")]
    assert len(set(names)) == len(names)
    assert names == sorted(names)


def test_no_public_name_is_missing_from_the_exports() -> None:
    packages = {each.name for each in pkgutil.iter_modules(trainer.__path__)}
    public = {name for name in dir(trainer) if not name.startswith("_")} - packages
    assert public == set(trainer.__all__)
    assert not [name for name, value in vars(trainer).items() if isinstance(value, ModuleType) and name not in packages]


def test_type_checkers_see_what_is_exported() -> None:
    source = Path(trainer.__file__ or "").read_text()
    imported = {
        alias.name: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer.")
        for alias in node.names
    }
    assert imported == {name: f"trainer.{module}" for name, module in trainer._MODULES.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'judge'"):
        _ = trainer.judge


def test_reading_data_imports_neither_tensorflow_nor_scikit_learn() -> None:
    code = """
import sys, trainer
trainer.read_dataset, trainer.load_description, trainer.read_split, trainer.TrainerError
print([name for name in ("tensorflow", "keras", "sklearn", "scipy", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
