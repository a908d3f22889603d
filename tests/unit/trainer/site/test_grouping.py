from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from trainer.data.dataset import ImageFile
from trainer.site.grouping import group_pictures, time_blocks

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def _files(groups: list[str | None]) -> list[ImageFile]:
    return [ImageFile(f"{index}.png", "a", f"{index:064x}", group) for index, group in enumerate(groups)]


def _textures(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)


def test_specimens_are_the_groups_if_every_picture_names_one() -> None:
    groups, grouping = group_pictures(_files(["s1", "s2", "s1"]), [None] * 3, _textures(3))
    assert grouping == "specimen"
    assert groups.tolist() == [0, 1, 0]


def test_otherwise_the_same_field_and_the_same_time_and_known_specimens_stay_together() -> None:
    thumbnails = _textures(60)
    thumbnails[1] = thumbnails[0]
    times: list[datetime | None] = [NOON + timedelta(hours=index) for index in range(60)]
    times[3] = NOON + timedelta(hours=2, seconds=20)
    specimens: list[str | None] = [None] * 60
    specimens[5] = specimens[6] = "s1"
    groups, grouping = group_pictures(_files(specimens), times, thumbnails)
    assert grouping == "near-duplicate-and-time"
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[5] == groups[6]
    assert len(set(groups.tolist())) == 57


def test_a_session_without_a_pause_can_still_be_divided() -> None:
    blocks = time_blocks([NOON + timedelta(seconds=5 * index) for index in range(60)])
    assert len(set(blocks)) == 20
    assert blocks == sorted(blocks, key=lambda each: -1 if each is None else each)


def test_pictures_of_unknown_time_are_in_no_block() -> None:
    assert time_blocks([None, NOON, None]) == [None, 0, None]


def test_cells_in_the_middle_of_glass_are_not_all_one_field() -> None:
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:64, :64] - 31.5
    cells = []
    for _ in range(40):
        stretch, radius_px = rng.uniform(0.6, 1.6), rng.uniform(12, 22)
        cell = np.hypot(down * stretch, across / stretch) < radius_px
        spots = cv2.resize(rng.uniform(40, 160, (8, 8)), (64, 64), interpolation=cv2.INTER_CUBIC)
        cells.append(np.where(cell, spots, 230)[..., None].repeat(3, axis=2))
    groups, _ = group_pictures(_files([None] * 40), [None] * 40, np.clip(cells, 0, 255).astype(np.uint8))
    assert np.bincount(groups).max() <= 4
