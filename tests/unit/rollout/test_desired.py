"""Which contents of ``model/desired`` are accepted, and which are not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contracts import ModelDesired, ModelKind, Wave
from edge_agent.contracts.rollout import MAX_DESIRED_BYTES
from edge_agent.errors import DesiredInvalid, DesiredStale, ModelDowngrade
from edge_agent.rollout.desired import read_desired, require_new, require_no_downgrade, version_order

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def message(**changes: object) -> bytes:
    values = {
        "kind": "head",
        "name": "north-clinic",
        "version": "2.0.0",
        "sha256": "a" * 64,
        "source": "https://models.example/a.zip",
        "issued_at": NOW.isoformat(),
    }
    return json.dumps({**values, **changes}).encode()


@pytest.mark.parametrize(
    "source",
    [
        "https://models.example/a.zip",
        "https://models.example:8443/a%20b.zip?token=1",
        "https://[::1]:8443/a.zip",
        "file:///srv/a.zip",
        "file://localhost/srv/a.zip",
        "/media/stick/a.zip",
    ],
)
def test_an_archive_comes_over_https_or_from_the_device(source: str) -> None:
    assert read_desired(message(source=source)).source == source


@pytest.mark.parametrize(
    "source",
    [
        "http://models.example/a.zip",
        "HTTP://models.example/a.zip",
        "ftp://models.example/a.zip",
        "//models.example/a.zip/../..\n",
        "https://",
        "https:///a.zip",
        "https://user@models.example/a.zip",
        "https://user:s3same@models.example/a.zip",
        "https://models.example:99999/a.zip",
        "https://models.example/a b.zip",
        "https://models.example/\r\nX: y",
        "https://models.example/ä.zip",
        "file://other.example/a.zip",
        "file:a.zip",
        "a.zip",
        "../a.zip",
        "",
        "/a\0.zip",
        "/" + "a" * 2048,
        None,
        7,
    ],
)
def test_an_archive_comes_from_nowhere_else(source: object) -> None:
    with pytest.raises(DesiredInvalid) as raised:
        read_desired(message(source=source))
    assert "s3same" not in str(raised.value)


@given(st.text(max_size=60) | st.from_regex(r"(https?|file|ftp)://[^/]*/.*", fullmatch=True))
def test_whatever_is_accepted_as_a_source_is_a_safe_one(source: str) -> None:
    try:
        accepted = read_desired(message(source=source)).source
    except DesiredInvalid:
        return
    parts = urlsplit(accepted)
    if parts.scheme == "https":
        assert parts.hostname
        assert parts.username is parts.password is None
    else:
        assert accepted.startswith(("/", "file:///", "file://localhost/"))
    assert accepted.isprintable()


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_whatever_comes_is_a_message_or_refused(payload: bytes) -> None:
    with pytest.raises(DesiredInvalid):
        read_desired(payload)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "firmware"},
        {"name": "../x"},
        {"version": "1.0"},
        {"version": "1.0.0-rc1"},
        {"sha256": "A" * 64},
        {"issued_at": "2026-11-29T12:00:00"},
        {"issued_at": "yesterday"},
        {"wave": {"devices_pct": 101, "salt": ""}},
        {"wave": {"devices_pct": 5}},
        {"shadow_readings_count": 0},
        {"more": 1},
        {"schema": "leukoscope/model-desired/v1"},
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, object]) -> None:
    with pytest.raises(DesiredInvalid, match=next(iter(changes))):
        read_desired(message(**changes))


def test_a_message_that_is_too_long_is_not_even_parsed() -> None:
    padded = message() + b" " * MAX_DESIRED_BYTES
    with pytest.raises(DesiredInvalid, match="bytes"):
        read_desired(padded)


def test_a_newer_message_is_followed_and_no_other() -> None:
    desired = read_desired(message())
    require_new(desired, None, now=NOW)
    require_new(desired, NOW - timedelta(microseconds=1), now=NOW)
    for accepted_at in (NOW, NOW + timedelta(seconds=1)):
        with pytest.raises(DesiredStale):
            require_new(desired, accepted_at, now=NOW)
    with pytest.raises(DesiredInvalid, match="future"):
        require_new(desired, None, now=NOW - timedelta(days=2))
    # A device without a clock cannot tell.
    require_new(desired, None, now=None)


@pytest.mark.parametrize(("used", "refused"), [("1.9.9", False), ("2.0.0", False), ("2.0.1", True), ("10.0.0", True)])
def test_a_lower_version_than_was_used_is_a_downgrade(used: str, refused: bool) -> None:
    desired = read_desired(message())
    highest = {"head/north-clinic": used, "bundle/north-clinic": "99.0.0", "head/other": "99.0.0"}
    if refused:
        with pytest.raises(ModelDowngrade):
            require_no_downgrade(desired, highest)
    else:
        require_no_downgrade(desired, highest)


def test_versions_are_ordered_as_numbers_and_anything_else_comes_first() -> None:
    ordered = ["", "x", "0.1.0", "0.9.0", "0.10.0", "1.0.0"]
    assert sorted(ordered, key=version_order) == ordered
    assert version_order("1.²") == version_order("9" * 5000 + ".0.0") == ()


def test_a_wave_has_its_share_of_the_devices_and_grows_without_losing_any() -> None:
    devices = [("clinic", f"scope-{number}") for number in range(2000)]

    def taking_part(pct: float, salt: str = "a") -> set[tuple[str, str]]:
        wave = Wave(devices_pct=pct, salt=salt)
        return {device for device in devices if wave.includes(*device)}

    tenth, half = taking_part(10), taking_part(50)
    assert 150 < len(tenth) < 250
    assert 900 < len(half) < 1100
    assert tenth < half
    assert taking_part(0) == set()
    assert len(taking_part(100)) == len(devices)
    assert taking_part(10, "b") != tenth
    # The same on every device and in every release.
    assert Wave(devices_pct=50, salt="2026-12").includes("north-clinic", "scope-1") is False


def test_the_published_example_is_valid(repository: Path) -> None:
    text = (repository / "docs" / "roll-out.md").read_text()
    block = text.split("desired.json <<END\n")[1].split("\n    END")[0]
    example = block.replace("$(sha256sum north-clinic-2.zip | cut -d' ' -f1)", "0" * 64)
    example = example.replace("$(date -u +%Y-%m-%dT%H:%M:%SZ)", "2026-11-29T12:00:00Z")
    assert ModelDesired.model_validate_json(example).kind is ModelKind.HEAD
