from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.smear import draw_smear
from trainer.data.near_duplicates import DuplicatePair, find_near_duplicates, near_duplicate_groups


def _scene(seed: int, label: str = "pre-b") -> NDArray[np.uint8]:
    return draw_smear(np.random.default_rng(seed), label, size_px=(300, 300))[0]


def _pairs(fields: list[NDArray[np.uint8]], hashes: list[str] | None = None) -> set[tuple[int, int]]:
    found = find_near_duplicates(np.stack(fields), hashes or [str(index) for index in range(len(fields))])
    return {(pair.first, pair.second) for pair in found}


def test_a_field_moved_by_a_third_is_a_near_duplicate() -> None:
    scene = _scene(1)
    assert _pairs([scene[:224, :224], _scene(2)[:224, :224], scene[62:286, 41:265]]) == {(0, 2)}


def test_a_field_saved_again_with_other_light_is_a_near_duplicate() -> None:
    field = _scene(1)[:224, :224]
    noise = np.random.default_rng(0).normal(0, 6, field.shape)
    again = np.clip(0.9 * field + noise, 0, 255).astype(np.uint8)
    assert _pairs([field, again]) == {(0, 1)}


def test_different_fields_of_one_stain_are_not_near_duplicates() -> None:
    assert _pairs([_scene(seed)[:224, :224] for seed in range(20)]) == set()


def test_files_of_one_hash_are_near_duplicates_even_without_any_structure() -> None:
    blank = np.full((224, 224, 3), 240, np.uint8)
    assert _pairs([blank, _scene(1)[:224, :224], blank], ["a", "b", "a"]) == {(0, 2)}


def test_blank_fields_of_different_files_are_not_near_duplicates() -> None:
    assert _pairs([np.full((224, 224, 3), level, np.uint8) for level in (10, 240)]) == set()


def test_near_duplicates_of_near_duplicates_are_one_group() -> None:
    groups = near_duplicate_groups(5, [DuplicatePair(0, 1, 0.9), DuplicatePair(1, 4, 0.9)])
    assert groups[0] == groups[1] == groups[4]
    assert len(set(groups.tolist())) == 3
