"""The collection: frames that the clinic agreed to keep, and the labels that people give them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent.analysis.reading import Reading
from edge_agent.collection.answers import AnswerBook
from edge_agent.collection.being_labelled import BeingLabelled
from edge_agent.collection.export import ExportSummary, Origin, export_labelled, export_unlabelled
from edge_agent.collection.export_target import Write, export_target, linked_folder, zip_file
from edge_agent.collection.held_frames import HeldFrames
from edge_agent.collection.keeper import FrameKeeper, OnEvent
from edge_agent.collection.kept_frame import KeptFrame
from edge_agent.collection.label_entry import LabelEntry
from edge_agent.collection.label_file import LabelFile
from edge_agent.collection.label_sets import label_sets
from edge_agent.collection.returned_labels import BadRow, new_entries, read_returned
from edge_agent.collection.review import Queue, describe_set, offer_next
from edge_agent.collection.settings import NOT_USABLE, SKIP, CollectionSettings, Keep, LabelSet
from edge_agent.collection.state import CollectionState, Offered
from edge_agent.collection.store import FrameStore, StoreLimits, check_space
from edge_agent.contracts import ErrorReport, EventKind, Outcome, Result, Topics
from edge_agent.contracts.manifest import Label
from edge_agent.errors import (
    CollectionBusy,
    CollectionEmpty,
    CollectionError,
    EdgeAgentError,
    FileUnusable,
    FrameNotKept,
    LabelInvalid,
)
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS

FOLDER = "collection"
KEEP_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. Every row of the file is in one of the counts."""

    added_count: int
    known_count: int
    """Answers that were there already."""
    empty_count: int
    """Rows without a label."""
    unknown: tuple[UUID, ...]
    """Frames that are not in this collection; their labels were left out."""
    bad_rows: tuple[BadRow, ...]


class Collection:
    """What the agent, the microscope page and the commands use of the collection. Any thread may use it.

    ``offer`` is for the analysis and never waits; everything else may wait for the disk. Errors of the disk are raised
    as ``CollectionError``, ``DiskFull`` or ``DiskLow`` to whoever asked, and are in ``error`` otherwise.
    """

    def __init__(
        self,
        settings: CollectionSettings,
        folder: Path,
        labels: Callable[[], Iterable[Label]],
        topics: Callable[[], Topics],
        *,
        synthetic: Callable[[], bool] = lambda: False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        on_event: OnEvent = lambda _kind, _message, _code: None,
        beside_agent: bool = False,
    ) -> None:
        """Nothing is read or written yet.

        ``folder`` is where the collection is unless the settings name another; ``labels`` tells those of the bundle in
        use, for a device without label sets of its own; ``topics`` tells site and device; ``synthetic`` tells whether
        frames are drawn. With ``beside_agent`` nothing is removed that a running agent may be writing.
        """
        self._settings = settings
        self._topics = topics
        self._on_event = on_event
        self._beside_agent = beside_agent
        self._bundle_labels = labels
        self.folder = settings.folder or folder
        self._labels = LabelFile(self.folder)
        self._store = FrameStore(
            self.folder,
            StoreLimits(
                max_bytes=round(settings.max_mib * 2**20),
                max_age=timedelta(days=settings.max_age_days),
                max_frames_count=settings.max_frames_count,
            ),
            labelled=self._needed,
        )
        self._keeper = FrameKeeper(
            self._store,
            keep=settings.keep,
            synthetic=synthetic,
            max_pixels=max_pixels,
            prepare=self._open,
            on_event=on_event,
        )
        self._held = HeldFrames()
        self._being_labelled = BeingLabelled()
        self._exporting = threading.Lock()
        self._stopped = threading.Event()
        self._offered_count = 0

    def _needed(self) -> Callable[[UUID], bool]:
        book = self._labels.read()
        return lambda frame_id: book.is_labelled(frame_id) or frame_id in self._being_labelled

    def _open(self) -> None:
        self._store.open(make=not self._beside_agent)
        self._labels.repair()

    def start(self) -> None:
        """Start to keep frames, and to delete those that become too old. Raises nothing: ``error`` says what is wrong.

        Where nothing is kept and nothing was kept before, nothing is started or written.
        """
        self._stopped.clear()
        if self._settings.keep is not Keep.NOTHING or self.folder.is_dir():
            self._keeper.start()

    def stop(self) -> None:
        """Write what waits, and stop. An export for the page ends: a large one would hold up the stop for minutes."""
        self._stopped.set()
        self._keeper.stop()

    @property
    def error(self) -> EdgeAgentError | None:
        """Why frames cannot be kept now."""
        return self._keeper.error

    @property
    def sets(self) -> Mapping[str, LabelSet]:
        """The label sets by their name."""
        return label_sets(self._settings.label_sets, self._bundle_labels())

    def offer(self, result: Result, reading: Reading) -> None:
        """Called for every reading: keep its frame if the settings say so. Never waits and never raises.

        Frames that cannot be read are never kept: there is nothing to label.
        """
        keep = self._settings.keep
        if keep is Keep.NOTHING or result.outcome is Outcome.FAILED:
            return
        if keep is Keep.ON_REQUEST:
            self._held.add(result, reading.frame)
            return
        number, self._offered_count = self._offered_count, self._offered_count + 1
        if keep is Keep.REFUSED and result.outcome not in {Outcome.ABSTAINED, Outcome.REJECTED}:
            return
        if keep is Keep.EVERY_NTH and number % self._settings.every_nth_count:
            return
        self._keeper.offer(result, reading.frame)

    def keep(self, reading_id: UUID) -> None:
        """Keep the frame of a recent reading. Does nothing if it is kept already.

        Raises ``FrameNotKept``, or what the disk says.
        """
        self._ready()
        if self._store.find(reading_id) is not None:
            return
        if self._settings.keep is not Keep.ON_REQUEST:
            raise FrameNotKept(
                f"Frames are not kept on request: collection.keep is '{self._settings.keep}'.",
                remedy="Set collection.keep to 'on_request', and restart the agent.",
            )
        held = self._held.find(reading_id)
        if held is None:
            raise FrameNotKept(f"The frame of the reading {reading_id} is not held any more.")
        try:
            self._keeper.offer(*held).result(KEEP_DEADLINE_S)
        except FutureTimeout as error:
            raise CollectionBusy("The disk does not answer.") from error

    def state(self) -> CollectionState:
        """Settings, counts and label sets now."""
        self._ready()
        settings, store, keeper = self._settings, self._store, self._keeper
        frames, book = store.frames(), self._labels.read()
        return CollectionState(
            keep=settings.keep,
            every_nth_count=settings.every_nth_count,
            consent=settings.consent,
            frames_count=len(frames),
            size_bytes=store.size_bytes,
            max_bytes=round(settings.max_mib * 2**20),
            max_frames_count=settings.max_frames_count,
            max_age_days=settings.max_age_days,
            oldest_at=frames[0].result.captured_at if frames else None,
            kept_count=keeper.kept_count,
            dropped_count=keeper.dropped_count,
            failed_count=keeper.failed_count,
            removed_count=store.removed_count,
            unreadable_count=store.unreadable_count + self._labels.unreadable_count,
            error=None if keeper.error is None else ErrorReport.from_error(keeper.error),
            sets=tuple(describe_set(frames, each, book) for each in self.sets.values()),
        )

    def next(self, set_name: str, queue: str = Queue.UNLABELLED) -> Offered | None:
        """The frame to be labelled now; None if the queue is empty. Raises ``LabelInvalid``."""
        self._ready()
        label_set = self.find_set(set_name)
        if queue not in set(Queue):
            raise LabelInvalid(f"There is no queue '{queue}': there are {', '.join(Queue)}.")
        while True:
            offered = offer_next(self._store.frames(), label_set, self._labels.read(), Queue(queue))
            # A frame may have been deleted by another process.
            if offered is None:
                return None
            self._being_labelled.add((offered.item, *offered.then))
            if self._store.confirm(offered.item):
                return offered

    def label(self, item: UUID, set_name: str, label: str, *, by: str, entry_id: UUID | None = None) -> LabelEntry:
        """Give a frame a label; it is on the disk when this returns. With an ``entry_id`` that is known, nothing new.

        Raises ``LabelInvalid``, ``FrameNotKept``, or what the disk says.
        """
        self._ready()
        label_set = self.find_set(set_name)
        if label not in {*label_set.codes, NOT_USABLE, SKIP}:
            raise LabelInvalid(f"The set '{set_name}' has no label '{label}'.")
        # A label is worth nothing without its frame.
        self._store.make_durable(item)
        entry = LabelEntry(id=entry_id or uuid7(), at=datetime.now(UTC), by=by, item=item, set=set_name, label=label)
        self._labels.append(lambda _book: [entry])
        found = self._labels.read().find(entry.id)
        return found or entry

    def undo(self, set_name: str, *, by: str, entry_id: UUID | None = None) -> LabelEntry:
        """Undo an answer: the one with that id, else the last one of this role in the set. Returns what was undone.

        Raises ``LabelInvalid`` if there is none, or what the disk says.
        """
        self._ready()
        self.find_set(set_name)
        undone: list[LabelEntry] = []

        def make(book: AnswerBook) -> Sequence[LabelEntry]:
            found = book.last(set_name, by) if entry_id is None else book.find(entry_id)
            if found is None or found.label is None or found.set != set_name or book.is_undone(found.id):
                raise LabelInvalid("There is nothing to undo.", remedy="Go on with the next field.")
            undone.append(found)
            return [LabelEntry(id=uuid7(), at=datetime.now(UTC), by=by, item=found.item, set=set_name, undoes=found.id)]

        self._labels.append(make)
        return undone[0]

    def recent(self, limit: int) -> Sequence[KeptFrame]:
        """The newest kept frames, the newest first; those that cannot be read are left out."""
        self._ready()
        found: list[KeptFrame] = []
        for frame in reversed(self._store.frames()):
            if len(found) == limit:
                break
            try:
                found.append(self._store.record(frame.id))
            except CollectionError:
                continue
        return found

    def picture(self, item: UUID) -> bytes:
        """The JPEG of a kept frame. Raises ``FrameNotKept``, or what the disk says."""
        self._ready()
        return self._store.picture(item)

    def export(self, set_name: str, out: Path, *, unlabelled: bool = False) -> ExportSummary:
        """Write labelled frames, or those that nobody has labelled, to a new folder or zip file.

        Raises ``LabelInvalid``, ``CollectionEmpty``, ``FileUnusable``, or what the disk says.
        """
        self._ready()
        label_set = self.find_set(set_name)
        with export_target(out) as write:
            return self._export(label_set, write, unlabelled=unlabelled)

    def export_linked(
        self, set_name: str, out: Path, *, before_each: Callable[[], None] = lambda: None
    ) -> ExportSummary:
        """Write labelled frames to a new private folder for a program on this device, which removes it afterwards.

        Pictures are not copied if that can be avoided. It does not count as an export: nothing leaves the device.
        ``before_each`` is called before each file, and ends the export with what it raises. Raises ``LabelInvalid``,
        ``CollectionEmpty``, ``FileUnusable``, or what the disk says.
        """
        self._ready()
        label_set = self.find_set(set_name)
        try:
            out.mkdir(mode=0o700, parents=True)
            check_space(out, 0)
            write = _checked(linked_folder(out, self.folder), before_each)
            return export_labelled(self._store, self._labels.read(), label_set, self._origin(), write)
        except OSError as error:
            raise FileUnusable.from_os_error(error) from error

    def export_zip(self, set_name: str) -> Path:
        """Write labelled frames to a zip file beside them, which the caller deletes. One at a time.

        Raises ``LabelInvalid``, ``CollectionEmpty``, ``CollectionBusy``, or what the disk says.
        """
        self._ready()
        label_set = self.find_set(set_name)
        if not self._store.frames():
            # There may be no folder yet, and so no disk to look at.
            raise CollectionEmpty("No frame is kept.", remedy="Keep and label fields first.")
        if not self._exporting.acquire(blocking=False):
            raise CollectionBusy("Another export is being made.", remedy="Wait for it, and try again.")
        # Not in the system's temporary folder, which is often in memory. A name that a restart cleans up.
        out = self.folder / f".export.{secrets.token_hex(4)}.new"
        try:
            # Pictures hardly get smaller.
            check_space(self.folder, self._store.size_bytes)
            with zip_file(out) as write:
                self._export(label_set, _checked(write, self._require_running), unlabelled=False)
        except OSError as error:
            out.unlink(missing_ok=True)
            raise FileUnusable.from_os_error(error) from error
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        finally:
            self._exporting.release()
        return out

    def _export(self, label_set: LabelSet, write: Write, *, unlabelled: bool) -> ExportSummary:
        export = export_unlabelled if unlabelled else export_labelled
        summary = export(self._store, self._labels.read(), label_set, self._origin(), write)
        self._on_event(
            EventKind.COLLECTION_EXPORTED,
            f"{summary.pictures_count} frames with the label set '{label_set.name}' were exported.",
            None,
        )
        return summary

    def _require_running(self) -> None:
        if self._stopped.is_set():
            raise CollectionBusy("The agent is stopping.", remedy="Export again when it has started.")

    def _origin(self) -> Origin:
        topics = self._topics()
        return Origin(topics.site, topics.device, self._settings.consent)

    def import_labels(self, path: Path, set_name: str | None = None) -> Imported:
        """Take labels that were given elsewhere. ``set_name`` is for rows that do not name a set.

        Raises ``FileUnusable``, ``LabelInvalid``, or what the disk says; a bad row is only left out.
        """
        self._ready()
        sets = self.sets
        default = set_name or (next(iter(sets)) if len(sets) == 1 else None)
        if default is not None:
            self.find_set(default)
        returned = read_returned(path, sets, default)
        items = dict.fromkeys(each.item for each in (*returned.lines, *returned.rows))
        here = {item for item in items if self._store.confirm(item)}
        for item in here:
            self._store.make_durable(item)
        lines = [each for each in returned.lines if each.item in here]
        rows = [each for each in returned.rows if each.item in here]
        added = self._labels.append(lambda book: new_entries(lines, rows, book)) if here else ()
        return Imported(
            added_count=len(added),
            known_count=len(lines) + len(rows) - len(added),
            empty_count=returned.empty_count,
            unknown=tuple(item for item in items if item not in here),
            bad_rows=tuple(returned.bad_rows),
        )

    def delete(self, specimen: str | None = None) -> int:
        """Delete all frames with all labels, or the frames of a specimen; the number of frames.

        Raises what the disk says.
        """
        self._ready()
        if specimen is None:
            count = self._store.remove_all()
            self._labels.delete()
        else:
            of = {each.id: each.result.specimen for each in self._store.frames()}
            count = self._store.remove([frame_id for frame_id, each in of.items() if each and each.id == specimen])
        if count:
            self._on_event(EventKind.COLLECTION_DELETED, f"{count} kept frames were deleted.", None)
        return count

    def find_set(self, name: str) -> LabelSet:
        """The label set of that name. Raises ``LabelInvalid``."""
        sets = self.sets
        found = sets.get(name)
        if found is None:
            raise LabelInvalid(f"There is no label set '{name}': there are {', '.join(sets)}.")
        return found

    def _ready(self) -> None:
        if not self._keeper.prepared and not self.folder.is_dir():
            # Reading what is not there must not create it.
            return
        self._keeper.prepare()


def _checked(write: Write, check: Callable[[], None]) -> Write:
    def checked(path: str, content: bytes) -> None:
        check()
        write(path, content)

    return checked
