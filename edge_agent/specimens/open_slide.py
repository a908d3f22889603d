"""The message about the slide that is being read."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import OpenSpecimen, Topics
from edge_agent.specimens.tally import Tally


def open_slide_message(tally: Tally | None, *, topics: Topics, session: UUID) -> OpenSpecimen:
    """The counts of the open slide, as published on ``specimen``. ``tally`` is None if no slide is open."""
    if tally is None:
        return OpenSpecimen(
            site=topics.site, device=topics.device, session=session, at=datetime.now(UTC), specimen=None
        )
    return OpenSpecimen(
        demonstration=tally.demonstration,
        provisional=tally.provisional,
        site=topics.site,
        device=topics.device,
        session=session,
        at=datetime.now(UTC),
        specimen=tally.specimen,
        began_at=tally.began_at,
        wished_fields_count=tally.wished_fields_count,
        readings_count=tally.readings_count,
        judged_count=tally.judged_count,
        outcomes_count=tally.outcomes_count,
        reasons_count=tally.reasons_count,
        labels_count=tally.labels_count,
        malignant_count=tally.malignant_count,
    )
