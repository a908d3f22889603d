"""Finds the positions of keys and tables in a TOML file, which ``tomllib`` does not report."""

from __future__ import annotations

import bisect
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Keys from the top, and indices into arrays, such as ``("mqtt", "tls", "ca_file")``."""

_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


@dataclass(frozen=True, slots=True)
class Pair:
    """``key = value``, as a line or inside an inline table. Offsets are into the text."""

    path: KeyPath
    """Full path from the top of the file."""
    dotted_count: int
    """Number of keys before the equals sign."""
    start: int
    value_start: int
    end: int
    is_inline: bool
    """Whether it is inside an inline table or array."""


@dataclass(frozen=True, slots=True)
class Header:
    """``[table]`` or ``[[array]]``. Offsets are into the text."""

    path: KeyPath
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """All parts of a file, in order."""

    pairs: tuple[Pair, ...]
    headers: tuple[Header, ...]
    lines: Mapping[KeyPath, int]


def scan(text: str) -> Layout:
    """The parts of ``text``, which must be valid TOML."""
    return _Scanner(text).scan()


def find_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, from 1, of every key and table of ``text``, which must be valid TOML.

    A table is where it is first named, by a header or a dotted key.
    """
    return scan(text).lines


def line_of(lines: Mapping[KeyPath, int], keys: Sequence[str | int]) -> int:
    """The line of ``keys``, or of the innermost table around it that the file has, or 1."""
    path = tuple(keys)
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._pairs: list[Pair] = []
        self._headers: list[Header] = []
        self._elements: dict[KeyPath, int] = {}
        """Number of elements of each array of tables so far."""

    def scan(self) -> Layout:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header(2, is_array=True)
            elif self._text[self._at] == "[":
                table = self._header(1, is_array=False)
            else:
                self._pair(table, is_inline=False)
            self._skip_blank()
        self._pairs.sort(key=lambda pair: pair.start)
        return Layout(tuple(self._pairs), tuple(self._headers), self._lines)

    def _header(self, brackets: int, *, is_array: bool) -> KeyPath:
        start = self._at
        self._at += brackets
        path: KeyPath = ()
        keys = self._keys()
        for number, key in enumerate(keys):
            path = (*path, key)
            self._note(path, start)
            if is_array and number == len(keys) - 1:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
                self._note(path, start)
        self._at += brackets
        self._headers.append(Header(path, start, self._at))
        return path

    def _pair(self, table: KeyPath, *, is_inline: bool) -> None:
        start = self._at
        path = table
        keys = self._keys()
        for key in keys:
            path = (*path, key)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip_blank()
        value_start = self._at
        self._value(path)
        value = self._text[value_start : self._at].rstrip()
        end = value_start + len(value)
        self._pairs.append(Pair(path, len(keys), start, value_start, end, is_inline))

    def _value(self, path: KeyPath) -> None:
        match self._text[self._at : self._at + 1]:
            case "[":
                self._at += 1
                index = 0
                while not self._closes("]"):
                    self._note((*path, index), self._at)
                    self._value((*path, index))
                    index += 1
            case "{":
                self._at += 1
                while not self._closes("}"):
                    self._pair(path, is_inline=True)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_SCALAR)

    def _closes(self, bracket: str) -> bool:
        self._skip_blank()
        if self._at < len(self._text) and self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _keys(self) -> list[str]:
        """Read a dotted key and the spaces after it."""
        keys = []
        while True:
            self._skip_blank()
            quoted = _STRING.match(self._text, self._at)
            keys.append(tomllib.loads(f"key = {self._take(_STRING)}")["key"] if quoted else self._take(_BARE_KEY))
            self._skip_blank()
            if self._text[self._at : self._at + 1] != ".":
                return keys
            self._at += 1

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"not TOML at offset {self._at}")
        self._at = found.end()
        return found.group()

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _note(self, path: KeyPath, offset: int) -> None:
        self._lines.setdefault(path, bisect.bisect_left(self._newlines, offset) + 1)
