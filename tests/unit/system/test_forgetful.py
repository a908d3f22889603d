from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.system import forgetful
from tests.system.forgetful import MAX_REQUESTS, SECTOR_BYTES, Cache

SECTORS_COUNT = 32
OLD = b"o"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(OLD * SECTORS_COUNT * SECTOR_BYTES)
    return path


def sectors(content: bytes) -> list[bytes]:
    return [content[at : at + SECTOR_BYTES] for at in range(0, len(content), SECTOR_BYTES)]


def test_a_read_sees_what_was_written_and_the_file_only_what_was_flushed(path: Path) -> None:
    cache = Cache(path, 1)
    cache.write(b"n" * SECTOR_BYTES, SECTOR_BYTES)
    assert sectors(cache.read(3 * SECTOR_BYTES, 0)) == [each * SECTOR_BYTES for each in (b"o", b"n", b"o")]
    assert b"n" not in path.read_bytes()
    cache.flush()
    assert sectors(path.read_bytes())[1] == b"n" * SECTOR_BYTES
    assert cache.cut()["unflushed"] == 0
    assert sectors(cache.read(3 * SECTOR_BYTES, 0))[1] == b"n" * SECTOR_BYTES


def test_writes_are_kept_forgotten_and_torn_and_the_report_counts_them(path: Path) -> None:
    cache = Cache(path, 1)
    for _ in range(30):
        cache.write(b"n" * 8192, 0)
    report = cache.cut()
    assert report["unflushed"] == report["kept"] + report["forgotten"] + report["torn"] == 30
    assert min(report["kept"], report["forgotten"], report["torn"]) > 0


def test_a_torn_write_keeps_some_of_its_units_and_loses_others(path: Path) -> None:
    # Repeat until one is torn: each write is alone in the cache.
    cache = Cache(path, 1)
    for _ in range(30):
        cache.write(OLD * 8192, 0)
        cache.flush()
        cache.write(b"n" * 8192, 0)
        report = cache.cut()
        found = {each[:1] for each in sectors(cache.read(8192, 0))}
        assert (
            found
            == {"kept": {b"n"}, "forgotten": {OLD}, "torn": {OLD, b"n"}}[
                next(fate for fate in ("kept", "forgotten", "torn") if report[fate])
            ]
        )


def test_a_seed_repeats_what_is_lost(tmp_path: Path) -> None:
    found = []
    for name, seed in (("first", 7), ("same", 7), ("other", 8)):
        path = tmp_path / name
        path.write_bytes(OLD * 64 * SECTOR_BYTES)
        cache = Cache(path, seed)
        for number in range(64):
            cache.write(b"n" * SECTOR_BYTES, number * SECTOR_BYTES)
        cache.cut()
        found.append(path.read_bytes())
    assert found[0] == found[1] != found[2]


@given(
    st.lists(
        st.one_of(
            st.none(), st.tuples(st.integers(0, SECTORS_COUNT - 1), st.integers(1, 16)).filter(lambda at: sum(at) <= 32)
        ),
        max_size=20,
    ),
    st.integers(0, 99),
)
def test_a_sector_is_as_it_was_flushed_or_as_a_later_write_had_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int] | None], seed: int
) -> None:
    """None is a flush; else a write of so many sectors from there."""
    path = tmp_path_factory.getbasetemp() / "property"
    path.write_bytes(OLD * SECTORS_COUNT * SECTOR_BYTES)
    cache = Cache(path, seed)
    allowed = [[OLD * SECTOR_BYTES] for _ in range(SECTORS_COUNT)]
    for number, step in enumerate(steps):
        if step is None:
            cache.flush()
            allowed = [each[-1:] for each in allowed]
            continue
        first, count = step
        content = bytes([number]) * SECTOR_BYTES
        cache.write(content * count, first * SECTOR_BYTES)
        for sector in range(first, first + count):
            allowed[sector].append(content)
        assert sectors(cache.read(SECTORS_COUNT * SECTOR_BYTES, 0)) == [each[-1] for each in allowed]
    cache.cut()
    after = sectors(cache.read(SECTORS_COUNT * SECTOR_BYTES, 0))
    assert all(found in possible for found, possible in zip(after, allowed, strict=True))


def test_the_end_of_a_connection_is_the_cut(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetful, "_settings", {})
    monkeypatch.setattr(forgetful, "_caches", [])
    for key, value in (("disk", path), ("seed", 1), ("report", tmp_path / "report"), ("fuse", tmp_path / "fuse")):
        forgetful.config(key, str(value))
    forgetful.after_fork()
    for _ in range(2):
        handle = forgetful.open(readonly=False)
        forgetful.pwrite(handle, b"n" * SECTOR_BYTES, 0, 0)
        forgetful.close(handle)
    assert [json.loads(line)["cut"] for line in (tmp_path / "report").read_text().splitlines()] == [1, 2]


def test_the_fuse_cuts_at_a_request_while_something_is_in_the_cache(path: Path) -> None:
    moments = set()
    for seed in range(20):
        cache = Cache(path, seed)
        for request in range(1, 2 * MAX_REQUESTS):
            if request % 2:
                cache.write(b"n" * SECTOR_BYTES, 0)
            if cache.burn():
                assert cache.cut()["unflushed"] > 0
                moments.add(request)
                break
            if not request % 2:
                cache.flush()
        else:
            pytest.fail("the fuse went out")
    assert len(moments) > 5
    assert any(request % 2 for request in moments)
    assert not all(request % 2 for request in moments)


def test_at_the_fuses_cut_nothing_is_answered_until_the_machine_is_off(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fuse, report = tmp_path / "fuse", tmp_path / "report"
    settings = {"disk": str(path), "seed": "1", "report": str(report), "fuse": str(fuse)}
    monkeypatch.setattr(forgetful, "_settings", settings)
    monkeypatch.setattr(forgetful, "_caches", [])
    monkeypatch.setattr(time, "sleep", lambda _: fuse.unlink())
    forgetful.after_fork()
    handle = forgetful.open(readonly=False)
    fuse.touch()
    refused_count = 0
    for _ in range(MAX_REQUESTS):
        try:
            forgetful.pwrite(handle, b"n" * SECTOR_BYTES, 0, 0)
        except OSError:
            refused_count += 1
    assert refused_count > 0
    assert not fuse.exists()
    # Requests still under way are refused, too, and the end of the connection is no second cut.
    with pytest.raises(OSError, match="the power is cut"):
        forgetful.flush(handle, 0)
    forgetful.close(handle)
    assert len(report.read_text().splitlines()) == 1
    forgetful.pwrite(forgetful.open(readonly=False), b"n" * SECTOR_BYTES, 0, 0)
