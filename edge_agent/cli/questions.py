"""Puts questions about single settings, and repeats each until the answer is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_agent.cli.config_document import ConfigDocument, Scalar
from edge_agent.config import Config, find_errors


class Asker(Protocol):
    """Asks a question and returns the answer; ``default`` if it is empty."""

    def __call__(self, question: str, default: str | None, *, secret: bool = False) -> str:
        """Ask for one line. A question without a default is repeated until there is an answer."""
        ...


@dataclass(frozen=True, slots=True)
class Questions:
    """Writes the answers into ``document``."""

    ask: Asker
    show: Callable[[str], None]
    document: ConfigDocument

    def pick(self, choices: Mapping[str, str], question: str, default: str | None) -> str:
        """Ask for one of ``choices``, which are shown with their meanings."""
        for name, meaning in choices.items():
            if meaning:
                self.show(f"  {name}: {meaning}")
        while True:
            typed = self.ask(question, default).strip().lower()
            if typed in choices:
                return typed
            self.show(f"'{typed}' is not one of these: {', '.join(choices)}.")

    def yes(self, question: str, default: bool | None) -> bool:  # noqa: FBT001 - three-valued
        """Ask for yes or no; with None, neither is taken for granted."""
        shown = None if default is None else "yes" if default else "no"
        return self.pick({"yes": "", "no": ""}, f"{question} (yes/no)", shown) == "yes"

    def set(self, path: tuple[str, str], question: str, *, default: str | None = None, as_number: bool = False) -> None:
        """Ask until the configuration's rules accept the answer."""
        before = self.document.get(*path)
        offered = default if default is not None and before is None else before
        if offered is None:
            offered = _default(*path)
        while True:
            typed = self.ask(question, None if offered is None else str(offered)).strip()
            value: Scalar | None = _number(typed) if as_number else typed
            if value is None:
                self.show(f"'{typed}' is not a number.")
                continue
            self.document.set(path, value)
            problem = next((what for keys, what in find_errors(self.document.values) if keys[:2] == path), None)
            if problem is None:
                return
            self.show(problem)
            if before is None:
                self.document.remove(*path)
            else:
                self.document.set(path, before)


def _default(name: str, key: str) -> object:
    """The default of a key; None if it is required."""
    section = Config.model_fields[name]
    return getattr(section.default, key, None)


def _number(typed: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(typed)
        except ValueError:
            continue
    return None
