"""From a reading to the message that leaves the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.analysis.analyzer import Reading
from edge_agent.contracts import Clock, Result, SpecimenField

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync")


@dataclass(slots=True)
class ResultMaker:
    """Gives the readings of one run their identity: device, session, number and id."""

    device: str
    session: UUID
    _next_seq: int = 0

    def make(self, reading: Reading, specimen: SpecimenField | None = None) -> Result:
        """The message of a reading. Each call takes the next number of the session."""
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        frame = reading.frame
        return Result(
            demonstration=reading.demonstration,
            id=uuid7(),
            device=self.device,
            camera=frame.camera,
            session=self.session,
            seq=seq,
            captured_at=frame.captured_at,
            clock=Clock(synchronised=clock_synchronised(), boot_id=boot_id(), monotonic_ns=frame.monotonic_ns),
            source=frame.source,
            specimen=specimen,
            outcome=reading.outcome,
            reason=reading.reason,
            error=reading.error,
            label=reading.label,
            malignant=reading.malignant,
            probabilities=reading.probabilities,
            malignant_ratio=reading.malignant_ratio,
            decision=reading.decision,
            quality=reading.quality,
            nuclei=reading.nuclei,
            latency_ms=reading.latency_ms,
            model=reading.model,
            software=f"leukoscope {__version__}",
            capture=frame.settings,
            image=reading.image,
        )


def clock_synchronised() -> bool | None:
    """Whether systemd-timesyncd has set the clock since boot; None where it does not run."""
    if not _TIMESYNC.is_dir():
        return None
    return (_TIMESYNC / "synchronized").exists()


@cache
def boot_id() -> str | None:
    """The kernel's id of this boot; None where it has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None
