"""Keeps the plan of a long command in its output folder, so that only the same plan is resumed there."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from edge_agent.settings import Settings
from trainer.errors import RunError
from trainer.files import make_folder, write_json

PLAN = "plan.json"


def start_or_resume(out: Path, plan: Settings, what: str) -> None:
    """Begin in ``out``, or resume the same plan there. Raises ``RunError`` for another plan of ``what``."""
    path = out / PLAN
    if not path.exists():
        make_folder(out)
        write_json(path, plan)
        return
    try:
        begun = type(plan).model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} cannot be read.", remedy="Name another --out.") from error
    if begun != plan:
        raise RunError(
            f"{out} contains {what} with other options or another split.",
            remedy="Give the same options to resume it, name another --out, or remove it.",
        )
