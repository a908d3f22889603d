"""Base of everything that ``agent.toml`` may say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Closed and immutable: an unknown key is an error, a reload makes new settings.

    Every field of a subclass has a unit in its name, a description and, where one is safe, a default.
    Each package keeps the settings of what it owns; ``config.py`` only puts them together.
    """

    # What was given may be a password in the wrong place: no error of ours repeats it unasked.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
