"""Records which bundle and head are used now, which were used before, and whether the new model is still on trial.

The whole record is one small file, ``active.json``, that is replaced by one atomic rename. So a power cut at any point
leaves the previous model or the new one, never anything between. Each start of the agent with a model on trial is
counted before the model is loaded, and the count is taken back when the agent stops in order: a start that finds a
count already knows that the previous run ended in a crash or a power cut.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, ValidationError
from uuid_utils.compat import uuid7

from edge_agent.atomic_file import own_as_folder, replace_file, sync_folder
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.errors import EdgeAgentError, ModelNoPrevious, StateEntryInvalid
from edge_agent.rollout.problems import explain

ACTIVE = "active.json"
MAX_ACTIVE_BYTES = 64 * 2**10

Reference = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class Choice(Contract):
    """A bundle, and perhaps a head that judges in place of its classes."""

    bundle: Reference = Field(description="Name of a shipped bundle, NAME@VERSION of an installed one, or a folder.")
    head: Reference | None = Field(default=None, description="NAME@VERSION of an installed head, or a folder.")

    @classmethod
    def of(cls, bundle: str, head: Path | None) -> Self:
        """The choice that the section ``[analysis]`` of a configuration names."""
        return cls(bundle=bundle, head=None if head is None else str(head))

    def __str__(self) -> str:
        return self.bundle if self.head is None else f"{self.bundle} with the head {self.head}"


class RollBackReason(StrEnum):
    """Why a model is no longer used."""

    UNUSABLE = "unusable"
    """It could not be loaded, or does not give its golden outputs here."""
    FAILED = "failed"
    """It failed on too many frames."""
    CRASHED = "crashed"
    """The agent did not end in order while the model was on trial: a crash or a power cut."""
    ASKED = "asked"
    """A person asked for it."""


class RollBack(Contract):
    """The last time that a model was given up."""

    choice: Choice
    reason: RollBackReason
    code: str | None = Field(description="Code of the error that caused it, if any.")
    message: str | None
    at: UtcTime


class Trial(Contract):
    """How a new model does. It ends after enough time of running."""

    since: UtcTime
    starts_count: int = Field(default=0, ge=0, description="Starts of the agent that have not ended in order.")
    failures_count: int = Field(default=0, ge=0, description="Frames on which the model failed.")
    ran_s: float = Field(default=0.0, ge=0, description="For how long the agent ran with it, in runs that have ended.")


class Active(Contract):
    """The whole ``active.json``."""

    schema_: Literal["leukoscope/active/v1"] = Field(default="leukoscope/active/v1", alias="schema")
    id: UUID = Field(default_factory=uuid7, description="Of this activation.")
    configured: Choice = Field(
        description="What the configuration named at that time. Another choice there is a newer decision, which counts."
    )
    chosen: Choice
    previous: Choice | None = Field(default=None, description="What was used before, and has proved itself.")
    trial: Trial | None = Field(default=None, description="Null once it has proved itself.")
    rolled_back: RollBack | None = None


class Activation:
    """Reads and changes ``active.json``. Any thread and process may use it: each change is a moment under a file lock.

    The methods raise ``ModelStoreError`` or ``DiskFull`` if it cannot be read or written, and nothing has changed then.
    """

    def __init__(self, folder: Path) -> None:
        """``folder`` is the folder ``models`` of the state folder. It is created when something is activated."""
        self._folder = folder
        self._path = folder / ACTIVE

    @property
    def version(self) -> tuple[int, int] | None:
        """A value that changes when the file is replaced, such as by another process; None if there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def read(self) -> Active | None:
        """The active choice; None if it is what the configuration names.

        Raises ``StateEntryInvalid`` if the file is damaged or of another release.
        """
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_ACTIVE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain(self._path, error) from error
        if len(content) > MAX_ACTIVE_BYTES:
            raise StateEntryInvalid(f"{self._path} has more than {MAX_ACTIVE_BYTES} bytes.")
        try:
            return Active.model_validate_json(content)
        except ValidationError as error:
            raise StateEntryInvalid(f"{self._path} cannot be read: {error.errors()[0]['msg']}.") from error

    def read_or_none(self) -> Active | None:
        """As ``read``, but None if the file is damaged or of another release."""
        try:
            return self.read()
        except StateEntryInvalid:
            return None

    def chosen(self, configured: Choice) -> Choice:
        """The choice to use if the configuration names ``configured``. Raises ``StateEntryInvalid``."""
        active = self._current(configured)
        return configured if active is None else active.chosen

    def activate(self, choice: Choice, configured: Choice) -> Active:
        """Use ``choice`` from now on, first on trial. It must have been verified.

        A roll-back never returns to a model that is on trial now, but to the one before it. A choice that has proved
        itself already, such as the previous or the configured one, needs no trial.
        """
        with self._changing():
            before = self._readable(configured)
            if before is not None and before.chosen == choice:
                return before
            proven = configured if before is None else before.chosen if before.trial is None else before.previous
            needs_trial = choice not in {configured, proven}
            return self._write(
                Active(
                    configured=configured,
                    chosen=choice,
                    previous=None if proven == choice else proven,
                    trial=Trial(since=datetime.now(UTC)) if needs_trial else None,
                )
            )

    def adopt(self, choice: Choice, configured: Choice) -> Active:
        """Keep a choice of an older release, which has proved itself."""
        with self._changing():
            return self._write(Active(configured=configured, chosen=choice, previous=configured))

    def begin(self, configured: Choice) -> Active | None:
        """The agent is about to load the model: count the start, or go back if the last run did not end in order.

        Returns what is active now; None if that is ``configured``. A new roll-back is in ``rolled_back``, with a new
        ``id``. A file that cannot be read is renamed to ``active.json.damaged``, and raises ``StateEntryInvalid`` once.
        """
        if self.version is None:
            return None
        with self._changing():
            try:
                active = self._current(configured)
            except StateEntryInvalid:
                self._set_aside()
                raise
            if active is None or active.trial is None:
                return active
            if active.trial.starts_count > 0:
                return self._roll_back(active, RollBackReason.CRASHED, None)
            started = active.trial.model_copy(update={"starts_count": 1})
            return self._write(active.model_copy(update={"trial": started}))

    def forget_other(self, configured: Choice) -> None:
        """``configured`` is in force now, so what was activated for another counts no more, even if that returns."""
        if self.version is None:
            return
        with self._changing():
            active = self.read_or_none()
            if active is not None and active.configured != configured:
                self._delete()

    def started(self, activation: UUID) -> None:
        """A running agent has taken this activation into use, so its end counts."""
        self._change_trial(activation, {"starts_count": 1})

    def end(self, activation: UUID, *, failures_count: int, ran_s: float) -> None:
        """The agent stops in order, after ``ran_s`` seconds with this activation."""
        active = self._readable_trial(activation)
        if active is not None and active.trial is not None:
            ran_s += active.trial.ran_s
            self._change_trial(
                activation, {"starts_count": 0, "failures_count": failures_count, "ran_s": round(ran_s, 3)}
            )

    def confirm(self, activation: UUID) -> None:
        """The trial is over: this model stays."""
        with self._changing():
            active = self._readable_trial(activation)
            if active is not None:
                self._write(active.model_copy(update={"trial": None}))

    def roll_back(
        self, configured: Choice, reason: RollBackReason = RollBackReason.ASKED, error: EdgeAgentError | None = None
    ) -> Active:
        """Go back to the previous model, or to the configured one after a failure if there is no previous one.

        Raises ``ModelNoPrevious`` if ``ASKED`` and there is no previous model, ``StateEntryInvalid``.
        """
        with self._changing():
            active = self._current(configured)
            if active is None or (reason is RollBackReason.ASKED and active.previous is None):
                raise ModelNoPrevious("No other model was used before this one.")
            return self._roll_back(active, reason, error)

    def _current(self, configured: Choice) -> Active | None:
        """The active choice, if it was made for this configuration."""
        active = self.read()
        return active if active is not None and active.configured == configured else None

    def _readable(self, configured: Choice) -> Active | None:
        """As ``_current``; None for a file that cannot be read, which the next write replaces."""
        try:
            return self._current(configured)
        except StateEntryInvalid:
            return None

    def _readable_trial(self, activation: UUID) -> Active | None:
        """What is active, if it is this activation and on trial. Another process may have activated something else."""
        try:
            active = self.read()
        except StateEntryInvalid:
            return None
        return active if active is not None and active.id == activation and active.trial is not None else None

    def _change_trial(self, activation: UUID, changes: dict[str, int | float]) -> None:
        with self._changing():
            active = self._readable_trial(activation)
            if active is not None and active.trial is not None:
                self._write(active.model_copy(update={"trial": active.trial.model_copy(update=changes)}))

    def _roll_back(self, active: Active, reason: RollBackReason, error: EdgeAgentError | None) -> Active:
        return self._write(
            Active(
                configured=active.configured,
                chosen=active.previous or active.configured,
                rolled_back=RollBack(
                    choice=active.chosen,
                    reason=reason,
                    code=None if error is None else error.code,
                    message=None if error is None else error.message,
                    at=datetime.now(UTC),
                ),
            )
        )

    def _write(self, active: Active) -> Active:
        content = active.to_json()
        try:
            replace_file(self._path, content, mode=0o644)
        except (OSError, RuntimeError) as error:
            raise explain(self._path, error) from error
        # Return it as it will be read: the file has times to the millisecond.
        return Active.model_validate_json(content)

    def _delete(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            raise explain(self._path, error) from error

    def _set_aside(self) -> None:
        try:
            self._path.replace(self._path.with_name(f"{ACTIVE}.damaged"))
        except OSError as error:
            raise explain(self._path, error) from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock. The kernel releases it if the process dies."""
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
                own_as_folder(self._folder)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise explain(self._folder, error) from error
        try:
            # Lock the folder itself, so that it works whoever created the files in it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
