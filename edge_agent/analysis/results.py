"""Turns a reading into the message that leaves the device."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.analysis.reading import Reading
from edge_agent.clock import boot_id, clock_synchronised
from edge_agent.contracts import Clock, Result, SpecimenField


@dataclass(slots=True)
class ResultMaker:
    """Gives the readings of one run their identity: site, device, session, number and id."""

    site: str
    device: str
    session: UUID
    _next_seq: int = 0

    def make(self, reading: Reading, specimen: SpecimenField | None = None) -> Result:
        """Create the message of a reading. Each call uses the next number of the session."""
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        frame = reading.frame
        return Result(
            demonstration=reading.demonstration,
            provisional=reading.provisional,
            id=uuid7(),
            site=self.site,
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
            differs=reading.differs,
            quality=reading.quality,
            nuclei=reading.nuclei,
            scale=reading.scale,
            cells=reading.cells,
            differential=reading.differential,
            latency_ms=reading.latency_ms,
            model=reading.model,
            accelerator=reading.accelerator,
            software=f"leukoscope {__version__}",
            capture=frame.settings,
            image=reading.image,
        )
