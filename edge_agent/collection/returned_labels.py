"""Reads labels that were given elsewhere: a table such as ``manifest.csv``, a label file, or a zip file with them."""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import UUID

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from edge_agent.collection.answers import AnswerBook
from edge_agent.collection.label_entry import LabelEntry, parse_entry
from edge_agent.collection.settings import NOT_USABLE, SKIP, LabelSet
from edge_agent.errors import FileUnusable

MAX_FILE_BYTES = 64 * 2**20
DEFAULT_BY = "colleague"

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),  # damaged or cut off
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,  # encrypted
    ValueError,  # a time or a name in it that cannot be
)
"""Exceptions that reading a zip file raises."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out, and why."""

    where: str
    """File and line."""
    why: str


@dataclass(slots=True)
class Returned:
    """Entries that could be read, in the file's order, and rows that could not."""

    lines: list[LabelEntry] = field(default_factory=list)
    """Entries of a label file, which have ids of their own."""
    rows: list[LabelEntry] = field(default_factory=list)
    """Entries made of the rows of a table."""
    bad_rows: list[BadRow] = field(default_factory=list)
    empty_count: int = 0
    """Rows without a label."""


def read_returned(path: Path, sets: Mapping[str, LabelSet], default_set: str | None) -> Returned:
    """The labels of a file. ``default_set`` is for rows that do not name a set.

    Raises ``FileUnusable`` if the file cannot be read or has another form; a bad row is only left out.
    """
    reader = _Reader(sets, default_set)
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                # A Mac adds a hidden file beside each one, which has its name and is no table.
                names = [name for name in archive.namelist() if _kind(name) is not None and not _is_hidden(name)]
                # The original answers first: the rows of the manifest are made of them.
                for name in sorted(names, key=lambda each: (_kind(each) != ".jsonl", each)):
                    with archive.open(name) as member:
                        reader.read(name, member.read(MAX_FILE_BYTES + 1))
            if not names:
                raise FileUnusable(f"{path} has no manifest.csv and no labels.jsonl.", remedy=_FORMS)
        else:
            with path.open("rb") as file:
                reader.read(path.name, file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error
    except _DAMAGE as error:
        raise FileUnusable(f"{path} cannot be read: {error}.", remedy=_FORMS) from error
    return reader.found


def new_entries(lines: Sequence[LabelEntry], rows: Sequence[LabelEntry], book: AnswerBook) -> Sequence[LabelEntry]:
    """The entries that say something new, so that importing a file twice changes nothing.

    An entry of a label file is known by its id; a row is known if somebody in the same role gave the same answer.
    """
    found = {each.id: each for each in lines if book.find(each.id) is None}
    everything = AnswerBook.of((*book.entries.values(), *found.values()))
    known = {
        (each.set, each.item, each.label, each.by)
        for each in everything.entries.values()
        if not everything.is_undone(each.id)
    }
    for each in rows:
        same = each.set, each.item, each.label, each.by
        if same not in known:
            known.add(same)
            found[each.id] = each
    return tuple(found.values())


_FORMS = "Give the manifest.csv or labels.jsonl of an export, or a zip file with them."


def _kind(name: str) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in {".csv", ".jsonl"} else None


def _is_hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")


class _Reader:
    def __init__(self, sets: Mapping[str, LabelSet], default_set: str | None) -> None:
        self._sets = sets
        self._default_set = default_set
        self.found = Returned()

    def read(self, name: str, content: bytes) -> None:
        if len(content) > MAX_FILE_BYTES:
            raise FileUnusable(f"{name} is larger than {MAX_FILE_BYTES / 2**20:.0f} MiB.", remedy=_FORMS)
        if _kind(name) == ".jsonl":
            self._read_lines(name, content)
        elif _kind(name) == ".csv":
            self._read_table(name, content)
        else:
            raise FileUnusable(f"{name} is neither a .csv nor a .jsonl nor a .zip file.", remedy=_FORMS)

    def _read_lines(self, name: str, content: bytes) -> None:
        for number, line in enumerate(content.split(b"\n"), 1):
            if not line.strip():
                continue
            entry = parse_entry(line)
            why = "is not an entry of a label file" if entry is None else self._problem(entry)
            if entry is None or why is not None:
                self._skip(name, number, why or "")
            else:
                self.found.lines.append(entry)

    def _read_table(self, name: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FileUnusable(f"{name} is not UTF-8.", remedy="Save it as CSV in UTF-8.") from error
        header = text.partition("\n")[0]
        # Spreadsheets write a semicolon where numbers have a decimal comma.
        delimiter = max(",;\t", key=header.count)
        # Not in strict mode: one stray quote is one bad row, not the end of the file.
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            columns = {str(each).strip().lower() for each in rows.fieldnames or ()}
            if "label" not in columns or not columns & {"item", "path", "file"}:
                raise FileUnusable(f"{name} has no columns item (or path) and label.", remedy=_FORMS)
            for row in rows:
                cells = {str(key).strip().lower(): str(value or "").strip() for key, value in row.items()}
                self._take(name, rows.line_num, cells)
        except csv.Error as error:
            raise FileUnusable(f"{name}, line {rows.line_num}: {error}.", remedy="Save it as CSV in UTF-8.") from error

    def _take(self, name: str, number: int, cells: Mapping[str, str]) -> None:
        if not cells["label"]:
            self.found.empty_count += 1
            return
        entry = self._entry(cells)
        why = entry if isinstance(entry, str) else self._problem(entry)
        if isinstance(entry, str) or why is not None:
            self._skip(name, number, why or "")
        else:
            self.found.rows.append(entry)

    def _entry(self, cells: Mapping[str, str]) -> LabelEntry | str:
        """The entry of a row, or why there is none."""
        named = cells.get("item") or cells.get("path") or cells.get("file") or ""
        item = PurePosixPath(named.replace("\\", "/")).stem
        try:
            item_id = UUID(item)
        except ValueError:
            return f"has no id of a frame, but '{_short(item)}'"
        set_name = cells.get("set") or self._default_set
        if set_name is None:
            return "names no label set; add a column set, or give --set"
        # A row with several roles counts for all of them together.
        by = cells.get("labelled_by", "").split() or [DEFAULT_BY]
        try:
            return LabelEntry(
                id=uuid7(),
                at=datetime.fromisoformat(cells["labelled_at"]) if cells.get("labelled_at") else datetime.now(UTC),
                by=by[0].lower(),
                item=item_id,
                set=set_name,
                label=self._code(set_name, cells["label"]),
            )
        except ValidationError as error:
            first = error.errors()[0]
            column = _COLUMNS.get(str(first["loc"][0]), "a value")
            return f"{column} is not as it must be: {first['msg'][:1].lower()}{first['msg'][1:]}"
        except ValueError:
            return "labelled_at is not a time such as 2026-11-29T12:00:00Z"

    def _code(self, set_name: str, label: str) -> str:
        """The code of a label, which may be given by its name."""
        label_set = self._sets.get(set_name)
        names = {} if label_set is None else {each.name.casefold(): each.code for each in label_set.labels}
        code = label.casefold().replace(" ", "-") if label.casefold() not in {NOT_USABLE, "not usable"} else NOT_USABLE
        return names.get(label.casefold(), code)

    def _problem(self, entry: LabelEntry) -> str | None:
        label_set = self._sets.get(entry.set)
        if label_set is None:
            return f"names the label set '{_short(entry.set)}', which is not configured"
        if entry.label is not None and entry.label not in {*label_set.codes, NOT_USABLE, SKIP}:
            return f"has the label '{_short(entry.label)}', which the set '{entry.set}' does not have"
        return None

    def _skip(self, name: str, number: int, why: str) -> None:
        self.found.bad_rows.append(BadRow(f"{name}:{number}", why))


_COLUMNS = {"label": "label", "by": "labelled_by", "at": "labelled_at", "set": "set"}


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
