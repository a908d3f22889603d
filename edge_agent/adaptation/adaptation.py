"""Fits heads to what people have labelled on this device, one at a time, beside the readings."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from edge_agent.adaptation.fit_process import TRAINER, FitCancelled, FitLimits, FitProcess
from edge_agent.adaptation.outcome import Outcome, read_outcome
from edge_agent.adaptation.settings import AdaptationSettings
from edge_agent.adaptation.state import (
    AccuracyFigure,
    AdaptationState,
    FitMode,
    FitReport,
    FitState,
    FittedHead,
    NeededLabels,
    TeachableSet,
)
from edge_agent.collection.collection import Collection
from edge_agent.collection.settings import Keep
from edge_agent.collection.state import CollectionState, LabelSetState
from edge_agent.contracts import ErrorReport, EventKind
from edge_agent.errors import (
    AdaptationBusy,
    AdaptationError,
    AdaptationIdle,
    AdaptationMissing,
    AdaptationOff,
    EdgeAgentError,
    LabelInvalid,
    LabelsTooFew,
)
from edge_agent.inference.proof import ProofLimits

log = logging.getLogger(__name__)

FOLDER = "adaptation"
WORK, CACHE = "work", "cache"
_NEEDS = ("trainer", "sklearn")
_MAX_FIGURES_COUNT = 200

OnEvent = Callable[[EventKind, str, str | None], None]
"""Kind, message, and the code of an error."""


class HeadStore(Protocol):
    """Where heads are installed."""

    def require_allowed(self) -> None:
        """Raise ``UnsignedRefused`` if heads of this device's own may not be installed."""
        ...

    def next_version(self, name: str) -> str:
        """A version of the head ``name`` that is not installed yet."""
        ...

    def install_own(self, folder: Path) -> None:
        """Install the head in ``folder``, which this device has fitted.

        Raises ``EdgeAgentError``, or ``FitCancelled`` if it was ended before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a fit depends on, as it is when one begins."""

    bundle: Callable[[], str]
    """The bundle in use: its name if it is shipped, else its folder."""
    bundle_name: Callable[[], str]
    reference: Callable[[], str]
    """What 'select-model' calls that bundle."""
    proof: Callable[[], ProofLimits]
    site: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a figure is of: with other labels or another bundle it is another one."""

    bundle: str
    label_set: str
    counts: tuple[int, ...]
    """Labelled fields of each class."""

    def can_follow(self, before: _Basis) -> bool:
        """Whether figures of both say what more labels have brought."""
        return (self.bundle, self.label_set) == (before.bundle, before.label_set)


@dataclass(frozen=True, slots=True)
class _Job:
    mode: FitMode
    basis: _Basis
    name: str
    images_count: int

    @property
    def label_set(self) -> str:
        return self.basis.label_set


@dataclass(slots=True, eq=False)
class _Run:
    """A job that is being done. Guarded by the lock of ``Adaptation``."""

    job: _Job
    thread: threading.Thread | None = None
    process: FitProcess | None = None
    cancelled: bool = False

    def require_wanted(self) -> None:
        """Raise ``FitCancelled`` once it is cancelled: to export thousands of frames takes a card minutes."""
        if self.cancelled:
            raise FitCancelled

    def cancel(self) -> None:
        self.cancelled = True
        if self.process is not None:
            self.process.cancel()


class Adaptation:
    """Any thread may use it. A fit has a thread here that waits for its process, and nothing else of the agent does."""

    def __init__(
        self,
        settings: AdaptationSettings,
        folder: Path,
        collection: Collection,
        surroundings: Surroundings,
        heads: HeadStore,
        *,
        on_event: OnEvent = lambda _kind, _message, _code: None,
        program: Sequence[str] | None = None,
    ) -> None:
        """Nothing is read or written yet. ``program`` is what fits, instead of the trainer (for tests)."""
        self._settings = settings
        self._folder = folder
        self._collection = collection
        self._surroundings = surroundings
        self._heads = heads
        self._on_event = on_event
        self._program = program
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._last_job: _Job | None = None
        self._stopping = False
        self._state = FitState.IDLE
        self._stage: str | None = None
        self._progress = 0.0
        self._error: ErrorReport | None = None
        self._figures: list[AccuracyFigure] = []
        self._measured: _Basis | None = None
        self._head: FittedHead | None = None
        self._report: FitReport | None = None
        self._seen: frozenset[UUID] = frozenset()

    @property
    def installed(self) -> bool:
        """Whether the program that fits is there. Nothing of it is imported."""
        return self._program is not None or all(importlib.util.find_spec(name) is not None for name in _NEEDS)

    def start(self) -> None:
        """Remove what a fit has left that a power cut or a kill has ended. Raises nothing."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """End a running fit, and never begin another."""
        with self._lock:
            self._stopping = True
        self._end()

    def _end(self) -> None:
        with self._lock:
            run = self._run
            if run is not None:
                run.cancel()
        if run is not None and run.thread is not None and run.thread is not threading.current_thread():
            run.thread.join()

    def fit(self, label_set: str | None, name: str) -> AdaptationState:
        """Begin to fit a head with its whole report; it is installed when it is finished, and used by nobody.

        ``label_set`` may be left out where there is only one. A running measurement of the figure gives way.
        Raises ``AdaptationError``, ``LabelInvalid`` or ``UnsignedRefused`` if a fit cannot begin.
        """
        collection = self._collection.state()
        found = self._find(collection, label_set)
        self._require_possible(found)
        self._heads.require_allowed()
        self._begin(_Job(FitMode.HEAD, self._basis(found), name, found.labelled_count))
        self._on_event(
            EventKind.ADAPTATION_STARTED,
            f"A head '{name}' is being fitted to {found.labelled_count} fields with the label set '{found.name}'.",
            None,
        )
        return self._describe(collection)

    def measure(self, label_set: str | None) -> AdaptationState:
        """Begin to measure the accuracy so far, unless it is known for these labels or a fit is running."""
        collection = self._collection.state()
        found = self._find(collection, label_set)
        self._require_possible(found)
        basis = self._basis(found)
        with self._lock:
            wanted = self._run is None and self._measured != basis
        if wanted:
            # Somebody else may be faster.
            with suppress(AdaptationBusy):
                self._begin(_Job(FitMode.FIGURE, basis, self._suggested_name(), found.labelled_count))
        return self._describe(collection)

    def cancel(self) -> None:
        """End the fit that is running. Raises ``AdaptationIdle`` if there is none."""
        with self._lock:
            run = self._run
            if run is None or run.job.mode is not FitMode.HEAD:
                raise AdaptationIdle("No head is being fitted.")
            run.cancel()

    def forget(self) -> None:
        """Frames were deleted: what is kept of any for the next fit goes, too. A running fit ends."""
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def state(self) -> AdaptationState:
        """The state now. Raises what the disk says of the collection."""
        return self._describe(self._collection.state())

    def _find(self, collection: CollectionState, label_set: str | None) -> LabelSetState:
        if label_set is None and len(collection.sets) == 1:
            return collection.sets[0]
        for each in collection.sets:
            if each.name == label_set:
                return each
        names = ", ".join(each.name for each in collection.sets)
        raise LabelInvalid(f"There is no label set '{label_set or ''}': there are {names}.")

    def _basis(self, found: LabelSetState) -> _Basis:
        return _Basis(self._surroundings.reference(), found.name, tuple(each.labelled_count for each in found.labels))

    def _require_possible(self, found: LabelSetState) -> None:
        if not self._settings.enabled:
            raise AdaptationOff("Heads are not fitted on this device.")
        if not self.installed:
            raise AdaptationMissing("What fits a head is not installed on this device.")
        least = self._settings.min_images_count
        enough = [each for each in found.labels if each.labelled_count >= least]
        if len(enough) < 2:
            raise LabelsTooFew(f"Two classes need at least {least} labelled fields each; {len(enough)} has so many.")

    def _begin(self, job: _Job) -> None:
        with self._lock:
            if self._stopping:
                raise AdaptationError("The agent is stopping.")
            before = self._run
            if before is not None:
                if before.job.mode is FitMode.HEAD or job.mode is FitMode.FIGURE:
                    raise AdaptationBusy(f"A head is being fitted to the label set '{before.job.label_set}'.")
                before.cancel()
            # Not again if it fails, but again if it gives way to a head that is never finished.
            self._measured = job.basis if job.mode is FitMode.FIGURE else None
            if self._last_job is not None and not job.basis.can_follow(self._last_job.basis):
                self._figures = []
            self._run = run = _Run(job)
            self._last_job = job
            self._state, self._stage, self._progress, self._error = FitState.RUNNING, None, 0.0, None
            run.thread = threading.Thread(target=self._work, args=(run, before), name="adaptation", daemon=True)
            run.thread.start()

    def _work(self, run: _Run, before: _Run | None) -> None:
        if before is not None and before.thread is not None:
            before.thread.join()
        state, problem, outcome = FitState.FAILED, None, None
        try:
            outcome = self._fit(run)
            state = FitState.DONE
        except FitCancelled:
            state = FitState.CANCELLED
        except EdgeAgentError as error:
            log.warning("the fit failed: %s", error)
            problem = error
        except Exception as error:  # a defect of ours must not leave the page waiting for ever
            log.exception("the fit failed")
            problem = AdaptationError(f"{type(error).__name__}: {error}.")
        finally:
            shutil.rmtree(self._folder / WORK, ignore_errors=True)
        self._finish(run, state, outcome, problem)

    def _finish(self, run: _Run, state: FitState, outcome: Outcome | None, problem: EdgeAgentError | None) -> None:
        job = run.job
        with self._lock:
            if self._run is not run:
                # It gave way to another, whose state this is now.
                return
            self._run = None
            self._state, self._stage = state, None
            self._error = None if problem is None else ErrorReport.from_error(problem)
            if outcome is not None:
                self._progress = 1.0
                self._measured = job.basis
                if outcome.figure is not None:
                    self._figures = [*self._figures[1 - _MAX_FIGURES_COUNT :], outcome.figure]
                if job.mode is FitMode.HEAD:
                    self._head, self._report = outcome.head, outcome.report
        if job.mode is FitMode.HEAD:
            self._record(job, state, outcome, problem)

    def _record(self, job: _Job, state: FitState, outcome: Outcome | None, problem: EdgeAgentError | None) -> None:
        if outcome is not None:
            head = outcome.head
            worth = "It is provisional and answers nothing." if head.provisional else "It may be used."
            message = f"The head {head.name} {head.version} was fitted to {job.images_count} fields. {worth}"
            self._on_event(EventKind.ADAPTATION_FINISHED, message, None)
        elif problem is not None:
            self._on_event(EventKind.ADAPTATION_FAILED, f"No head was fitted: {problem.message}", problem.code)
        elif state is FitState.CANCELLED:
            self._on_event(EventKind.ADAPTATION_CANCELLED, "The fit of a head was cancelled.", None)

    def _fit(self, run: _Run) -> Outcome:
        job = run.job
        work = self._folder / WORK
        shutil.rmtree(work, ignore_errors=True)
        self._progressed(run, 0.0, "exporting")
        data, head, report = work / "data", work / "head", work / "report"
        self._collection.export_linked(job.label_set, data, before_each=run.require_wanted)
        cache = self._folder / CACHE
        self._forget_what_is_gone(data, cache)
        cache.mkdir(mode=0o700, exist_ok=True)
        reference = self._surroundings.reference()
        arguments = ["--bundle", self._surroundings.bundle(), "--data", str(data), "--out", str(head)]
        arguments += ["--name", job.name, "--cache", str(cache), "--progress", "json"]
        if job.mode is FitMode.FIGURE:
            arguments += ["--quick"]
        else:
            arguments += ["--version", self._heads.next_version(job.name), "--report", str(report)]
        limits = FitLimits(self._settings.max_memory_mib * 2**20, self._settings.deadline_minutes * 60)
        process = FitProcess(
            [*(self._program or TRAINER), *arguments],
            work,
            limits,
            lambda ratio, stage: self._progressed(run, ratio, stage),
        )
        with self._lock:
            run.require_wanted()
            run.process = process
        process.run()
        outcome = read_outcome(head, report, self._surroundings.proof(), reference)
        if job.mode is FitMode.HEAD:
            self._progressed(run, 1.0, "installing")
            self._heads.install_own(head)
        return outcome

    def _progressed(self, run: _Run, ratio: float, stage: str) -> None:
        with self._lock:
            if self._run is run:
                self._progress, self._stage = ratio, stage

    def _forget_what_is_gone(self, data: Path, cache: Path) -> None:
        """What is cached shows a little of each frame, so it goes with the first frame that was deleted."""
        now = frozenset(UUID(each.stem) for each in data.glob("*/*.jpg"))
        if not self._seen <= now:
            shutil.rmtree(cache, ignore_errors=True)
        self._seen = now

    def _suggested_name(self) -> str:
        return self._surroundings.site()

    def _describe(self, collection: CollectionState) -> AdaptationState:
        needed = self._surroundings.proof().min_images_count
        sets = tuple(
            TeachableSet(
                name=each.name,
                labels=tuple(
                    NeededLabels(
                        code=label.code, name=label.name, labelled_count=label.labelled_count, needed_count=needed
                    )
                    for label in each.labels
                ),
                disputed_count=each.disputed_count,
            )
            for each in collection.sets
        )
        installed = self.installed
        with self._lock:
            job = self._last_job
            return AdaptationState(
                enabled=self._settings.enabled,
                installed=installed,
                keeps_frames=collection.keep is not Keep.NOTHING or collection.frames_count > 0,
                bundle=self._surroundings.bundle_name(),
                suggested_name=self._suggested_name(),
                min_images_count=self._settings.min_images_count,
                sets=sets,
                state=self._state,
                mode=None if job is None else job.mode,
                label_set=None if job is None else job.label_set,
                stage=self._stage,
                progress_ratio=self._progress,
                error=self._error,
                figures=tuple(self._figures),
                head=self._head,
                report=self._report,
            )
