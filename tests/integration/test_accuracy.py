"""The shipped bundle on real smears that it was not trained on, run by the command that a user types."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from tests.integration.test_cli import agent, results

MIN_ACCURACY = 0.98


@pytest.fixture(scope="module")
def split(repository: Path) -> list[dict[str, str]]:
    with (repository / "trainer" / "splits" / "all4.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("column", ["twin_group", "sha256"])
def test_no_twin_of_a_test_image_was_trained_on(split: list[dict[str, str]], column: str) -> None:
    parts = defaultdict(set)
    for row in split:
        parts[row[column]].add(row["split"])
    assert all(len(found) == 1 for found in parts.values())
    assert {row["split"] for row in split} == {"train", "val", "test"}


def test_classify_is_right_on_98_percent_of_unseen_images(shared_data: Path, split: list[dict[str, str]]) -> None:
    """Abstentions and rejections count as wrong."""
    images = shared_data / "all4" / "images"
    truth = {str(images / row["path"]): row["label"] for row in split if row["split"] == "test"}
    done = agent("classify", *truth)
    assert done.returncode == 0, done.stderr
    judged = results(done.stdout)
    assert [result.source for result in judged] == [Path(path).name for path in truth]
    found = {path: result.label for path, result in zip(truth, judged, strict=True)}
    right = sum(found[source] == label for source, label in truth.items())
    print(f"{right} of {len(truth)} right, {sum(label is None for label in found.values())} without a label")  # noqa: T201 - the figure is what the test is about
    assert right / len(truth) >= MIN_ACCURACY
