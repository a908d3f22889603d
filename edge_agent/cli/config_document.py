"""Changes single values of an ``agent.toml`` and leaves everything else unchanged."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import tomlkit

from edge_agent.config import parse_config, read_config_text
from edge_agent.errors import ConfigError
from edge_agent.toml_file.layout import KeyPath, Layout, Pair, scan

Scalar = str | int | float | bool


class ConfigDocument:
    """The text of a configuration. Comments, order and line ends are kept, however its tables are written."""

    def __init__(self, text: str, values: dict[str, Any]) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._text = text.replace("\r\n", "\n")
        self._values = copy.deepcopy(values)

    @classmethod
    def parse(cls, text: str) -> ConfigDocument:
        """Parse text that is valid TOML."""
        return cls(text, tomllib.loads(text))

    @classmethod
    def read(cls, path: Path) -> ConfigDocument:
        """Read a file. Raises ``ConfigError`` if it cannot be read or is not TOML."""
        text = read_config_text(path)
        return cls(text, parse_config(path, text))

    @property
    def values(self) -> dict[str, Any]:
        """The current values."""
        return copy.deepcopy(self._values)

    @property
    def text(self) -> str:
        """The changed text, with its original line ends. Raises ``ConfigError`` if the changes could not be made."""
        try:
            understood = tomllib.loads(self._text) == self._values
        except ValueError:
            understood = False
        if not understood:
            raise ConfigError(
                "The file is laid out in a way that cannot be changed.",
                remedy="Write each section once, as [section] with its keys below, and try again.",
            )
        return self._text.replace("\n", self._newline)

    def get(self, *path: str) -> Any:
        """The value, a dict for a table; None if it is not set."""
        return copy.deepcopy(_find(self._values, path))

    def set(self, path: tuple[str, ...], value: Scalar) -> None:
        """Change a value, or add it to its table, which is created if needed."""
        if self.get(*path) == value and type(self.get(*path)) is type(value):
            return
        table = self._values
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = value
        layout = scan(self._text)
        for pair in layout.pairs:
            if pair.path == path:
                self._splice(pair.value_start, pair.end, _render(value))
                return
        self._add(layout, path, value)

    def add_table(self, path: tuple[str, ...]) -> None:
        """Create an empty table, unless it exists."""
        if self.get(*path) is not None:
            return
        table = self._values
        for key in path:
            table = table.setdefault(key, {})
        self._add(scan(self._text), path, None)

    def remove(self, *path: str) -> None:
        """Remove a key or a whole table; comments inside a table stay."""
        if self.get(*path) is None:
            return
        table = self._values
        for key in path[:-1]:
            table = table[key]
        del table[path[-1]]
        layout = scan(self._text)
        # From the end, so that earlier offsets stay valid; a pair inside another one is removed with it.
        pairs = [pair for pair in layout.pairs if pair.path[: len(path)] == path]
        outer = [each for each in pairs if not any(o is not each and o.start <= each.start < o.end for o in pairs)]
        headers = [header for header in layout.headers if header.path[: len(path)] == path]
        for start, end, is_inline in sorted(
            [(pair.start, pair.end, pair.is_inline) for pair in outer]
            + [(header.start, header.end, False) for header in headers],
            reverse=True,
        ):
            if is_inline:
                self._cut_inline(start, end)
            else:
                self._cut_line(start, end)
        for length in range(1, len(path)):
            # A table that existed only through a dotted key becomes an empty table.
            if _find(tomllib.loads(self._text), path[:length]) is None:
                self._add(scan(self._text), path[:length], None)

    def _add(self, layout: Layout, path: tuple[str, ...], value: Scalar | None) -> None:
        """Add a missing key. A ``value`` of None is an empty table."""
        for length in range(len(path) - 1, 0, -1):
            above, rest = path[:length], path[length:]
            inline = next((pair for pair in layout.pairs if pair.path == above), None)
            if inline is not None:
                self._add_inline(inline, rest, value)
                return
            if any(header.path == above for header in layout.headers):
                if len(rest) > 1 or value is None:
                    break
                self._add_line(_end_of_table(layout, above), rest, value)
                return
            # A table created by dotted keys cannot have a header.
            dotted = [pair for pair in layout.pairs if pair.path[:length] == above and _is_dotted(pair, length)]
            if dotted:
                last = dotted[-1]
                written = last.path[len(last.path) - last.dotted_count : length]
                self._add_line(last.end, (*map(str, written), *rest), value)
                return
        if len(path) == 1 and value is not None:
            # A key outside of tables goes before the first header.
            self._splice(0, 0, f"{_render_key(path)} = {_render(value)}\n")
        else:
            self._add_header(path, value)

    def _add_header(self, path: tuple[str, ...], value: Scalar | None) -> None:
        table = path if value is None else path[:-1]
        line = "" if value is None else f"{_render_key(path[-1:])} = {_render(value)}\n"
        gap = "" if not self._text else "\n" if self._text.endswith("\n") else "\n\n"
        self._text += f"{gap}[{_render_key(table)}]\n{line}"

    def _add_inline(self, table: Pair, rest: tuple[str, ...], value: Scalar | None) -> None:
        comma = ", " if self._text[table.value_start + 1 : table.end - 1].strip() else ""
        inside = self._text[table.value_start + 1 : table.end - 1].rstrip()
        new = f"{inside}{comma}{_render_key(rest)} = {_render(value)}"
        self._splice(table.value_start + 1, table.end - 1, new)

    def _add_line(self, after: int, rest: tuple[str, ...], value: Scalar | None) -> None:
        """Add a line below the one with the offset ``after``, with the same indentation."""
        line_start = self._text.rfind("\n", 0, after) + 1
        line = self._text[line_start:after]
        indent = line[: len(line) - len(line.lstrip())]
        line_end = self._text.find("\n", after)
        at = len(self._text) if line_end < 0 else line_end
        self._splice(at, at, f"\n{indent}{_render_key(rest)} = {_render(value)}")

    def _cut_line(self, start: int, end: int) -> None:
        """Remove the whole line, with the comment at its end."""
        line_start = self._text.rfind("\n", 0, start) + 1
        line_end = self._text.find("\n", end)
        self._splice(line_start, len(self._text) if line_end < 0 else line_end + 1, "")

    def _cut_inline(self, start: int, end: int) -> None:
        """Remove it with the comma after it, or before it if it is the last."""
        after = self._text[end:]
        rest = after.lstrip()
        if rest.startswith(","):
            end += len(after) - len(rest) + 1
            end += len(self._text[end:]) - len(self._text[end:].lstrip(" "))
        else:
            before = self._text[:start].rstrip()
            start = len(before) - 1 if before.endswith(",") else start
        self._splice(start, end, "")

    def _splice(self, start: int, end: int, new: str) -> None:
        self._text = self._text[:start] + new + self._text[end:]


def _find(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return values


def _is_dotted(pair: Pair, length: int) -> bool:
    """Whether the table of ``length`` keys is named by the pair's own dotted key."""
    return not pair.is_inline and len(pair.path) - pair.dotted_count < length < len(pair.path)


def _end_of_table(layout: Layout, table: KeyPath) -> int:
    """The end of the last pair below the table's header."""
    header = next(each for each in layout.headers if each.path == table)
    later = [each.start for each in layout.headers if each.start > header.start]
    limit = min(later) if later else None
    inside = [
        pair.end
        for pair in layout.pairs
        if pair.start > header.start and not pair.is_inline and (limit is None or pair.start < limit)
    ]
    return max(inside, default=header.end)


def _render(value: Scalar | None) -> str:
    return "{}" if value is None else tomlkit.item(value).as_string()


def _render_key(path: tuple[str, ...]) -> str:
    return ".".join(tomlkit.key(part).as_string() for part in path)
