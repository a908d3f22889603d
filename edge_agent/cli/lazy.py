"""Commands whose modules are imported when they run: ``--help`` and small commands load neither OpenCV nor paho."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command and where it is."""

    target: str
    """``module:name`` of a function, or of a ``Typer`` with commands of its own."""
    summary: str
    """Help text in the list of commands."""

    def load(self, name: str) -> Any:
        """Import it."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        parent = typer.Typer(add_completion=False)
        if isinstance(found, typer.Typer):
            parent.add_typer(found, name=name)
        else:
            parent.command(name)(found)
        # With a callback, even a parent of a single command is a group.
        parent.callback()(_nothing)
        return cast("TyperGroup", get_command(parent)).commands[name]


def _nothing() -> None:
    pass


class LazyCommands(TyperGroup):
    """A group that lists its commands without importing them."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, command in self.lazy.items():
            self.add_command(TyperCommand(name, help=command.summary), name)

    def resolve_command(
        self,
        ctx: Any,
        args: list[str],
    ) -> tuple[str | None, Any, list[str]]:
        """The command to run, imported now."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.lazy[name].load(name), rest
