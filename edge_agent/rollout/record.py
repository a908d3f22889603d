"""The record of a device's roll-outs, so that a power cut at any point is only a delay."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import Field, ValidationError

from edge_agent.atomic_file import replace_file
from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.manifest import Sha256
from edge_agent.contracts.rollout import ModelDesired, RolloutState
from edge_agent.errors import StateEntryInvalid
from edge_agent.rollout.activation import Choice
from edge_agent.rollout.problems import explain

RECORD = "rollout.json"
MAX_RECORD_BYTES = 256 * 2**10

FINAL = frozenset({RolloutState.ACTIVE, RolloutState.ROLLED_BACK, RolloutState.REFUSED})
"""States that only a newer message changes."""


class Installed(Contract):
    """What the last archive became. It is not fetched twice."""

    sha256: Sha256 = Field(description="Of the archive.")
    reference: str


class RolloutRecord(Contract):
    """The whole ``rollout.json``. It is written before what it says is begun."""

    schema_: Literal["leukoscope/rollout/v1"] = Field(default="leukoscope/rollout/v1", alias="schema")
    accepted_at: UtcTime | None = Field(default=None, description="issued_at of the newest message that was accepted.")
    desired: ModelDesired | None = None
    state: RolloutState = RolloutState.IDLE
    error: ErrorReport | None = None
    failures_count: int = Field(default=0, ge=0, description="Attempts that failed.")
    tests_count: int = Field(default=0, ge=0, description="Tests that were begun and have not ended in order.")
    installed: Installed | None = None
    choice: Choice | None = Field(default=None, description="What ``desired`` was or is about to be activated as.")
    before: UUID | None = Field(default=None, description="The activation that ``choice`` takes the place of.")
    highest: dict[str, str] = Field(
        default_factory=dict, max_length=1000, description="The highest version that was used of each model."
    )


class RecordFile:
    """The file. It belongs to one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the folder ``models`` of the state folder."""
        self._path = folder / RECORD

    def read(self) -> RolloutRecord:
        """The record written last; an empty record if there is none.

        Raises ``StateEntryInvalid`` once if it is damaged and was renamed. Raises ``ModelStoreError``.
        """
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_RECORD_BYTES)
        except FileNotFoundError:
            return RolloutRecord()
        except OSError as error:
            raise explain(self._path, error) from error
        try:
            return RolloutRecord.model_validate_json(content)
        except ValidationError as error:
            try:
                self._path.replace(self._path.with_name(f"{RECORD}.damaged"))
            except OSError as failure:
                raise explain(self._path, failure) from failure
            raise StateEntryInvalid(f"{self._path} cannot be read: {error.errors()[0]['msg']}.") from error

    def write(self, record: RolloutRecord) -> None:
        """Replace the file, and wait for the disk. Raises ``DiskFull`` or ``ModelStoreError``."""
        try:
            replace_file(self._path, record.to_json(), mode=0o644)
        except (OSError, RuntimeError) as error:
            raise explain(self._path, error) from error
