"""Reads ``model/desired`` and decides whether a message is to be followed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import ValidationError

from edge_agent.contracts.rollout import MAX_DESIRED_BYTES, ModelDesired, ModelKind
from edge_agent.errors import DesiredInvalid, DesiredStale, ModelDowngrade

AHEAD_MAX = timedelta(days=1)
"""A message from further in the future would lock out all others until that time."""


def read_desired(payload: bytes) -> ModelDesired:
    """The message. Raises ``DesiredInvalid``."""
    if len(payload) > MAX_DESIRED_BYTES:
        raise DesiredInvalid(f"The message has {len(payload)} bytes; at most {MAX_DESIRED_BYTES} are allowed.")
    try:
        return ModelDesired.model_validate_json(payload)
    except ValidationError as error:
        # The content is not repeated: a source may contain a secret.
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(_printable(str(part)) for part in problem["loc"]) or "message"
        raise DesiredInvalid(f"{where}: {_printable(problem['msg'].removeprefix('Value error, '))}.") from error


def require_new(desired: ModelDesired, accepted_at: datetime | None, *, now: datetime | None) -> None:
    """Raise ``DesiredStale`` unless it is newer than the last accepted one, ``DesiredInvalid`` if it is of the future.

    ``now`` is None while the clock is not set.
    """
    if accepted_at is not None and desired.issued_at <= accepted_at:
        raise DesiredStale(
            f"A message that was issued at {desired.issued_at:%Y-%m-%d %H:%M:%S} UTC came after one that was issued at "
            f"{accepted_at:%Y-%m-%d %H:%M:%S} UTC."
        )
    if now is not None and desired.issued_at > now + AHEAD_MAX:
        raise DesiredInvalid(
            f"issued_at: {desired.issued_at:%Y-%m-%d %H:%M} UTC is in the future.",
            remedy="Check the clocks of this device and of the machine that publishes the message.",
        )


def require_no_downgrade(desired: ModelDesired, highest: Mapping[str, str]) -> None:
    """Raise ``ModelDowngrade`` if a higher version of that model was used; ``highest`` is by ``model_key``."""
    used = highest.get(model_key(desired.kind, desired.name))
    if used is not None and version_order(desired.version) < version_order(used):
        raise ModelDowngrade(
            f"The {desired.kind} {desired.name} {desired.version} is older than {used}, which this device has used."
        )


def model_key(kind: ModelKind, name: str) -> str:
    """The key that all versions of a model share."""
    return f"{kind}/{name}"


def version_order(version: str) -> tuple[int, ...]:
    """Orders versions of the form 1.2.3; anything else comes first."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() and len(part) < 10 for part in parts) else ()


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:200])
