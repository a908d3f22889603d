"""From labelled pictures in a stain that the bundle refuses to answers by a head for that stain."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from edge_agent.inference.head import HEAD_ARRAYS, HEAD_MANIFEST

CLASSES = ("benign", "pro-b")
PER_CLASS = 20


def draw_set(folder: Path, per_class: int, seed: int, stain: str) -> None:
    for label in CLASSES:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            rng = np.random.default_rng([seed, number, CLASSES.index(label)])
            picture = cv2.cvtColor(draw_smear(rng, label, stain=stain)[0], cv2.COLOR_RGB2BGR)
            (folder / label / f"{number:03}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def describe_set(folder: Path) -> None:
    classes = "".join(
        f'[[classes]]\nfolder = "{each}"\ncode = "site-{each}"\ndisplay_name = "{each}"\nmeaning = "drawn {each}"\n'
        f"malignant = {str(each != CLASSES[0]).lower()}\n"
        for each in CLASSES
    )
    head = (
        'name = "drawn"\nsource = "drawn"\nlicence = "none"\nlimits = "Drawn smears mean nothing."\nsynthetic = true\n'
    )
    (folder / "dataset.toml").write_text(head + classes)


def classify(folder: Path, *options: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "edge_agent", "classify", "--bundle", "demo", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``labelled`` pictures, ``new`` ones of the same stain, and ``others`` in the stain that the bundle knows."""
    root = tmp_path_factory.mktemp("site")
    draw_set(root / "labelled", PER_CLASS, 1, "blue")
    draw_set(root / "new", 4, 2, "blue")
    draw_set(root / "others", 4, 3, "wright-giemsa")
    describe_set(root / "labelled")
    (root / "labelled" / CLASSES[0] / "notes.txt").write_text("not a picture")
    return root


WATCHED = """
import atexit, sys
from trainer.cli import main
heavy = ("tensorflow", "keras", "matplotlib")
atexit.register(lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr))
main(sys.argv[1:])
"""
"""The command, which reports at its end any import that it should not have made."""


def adapt(site: Path, out: str, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = ["adapt", "--bundle", "demo", "--data", str(site / "labelled"), "--name", "north-clinic-1"]
    arguments += ["--out", str(site / out), "--cache", str(site / "cache"), *options]
    return subprocess.run([sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def adapted(site: Path) -> subprocess.CompletedProcess[str]:
    return adapt(site, "head", "--foreign", str(site / "others"), "--report", str(site / "report"), "--json")


def test_a_head_answers_where_its_bundle_refuses_and_refuses_what_is_not_of_the_site(
    site: Path, adapted: subprocess.CompletedProcess[str]
) -> None:
    assert adapted.returncode == 0, adapted.stderr
    without = Counter(str(each["reason"]) for each in classify(site / "new"))
    assert without["unfamiliar"] == 8
    answers = classify(site / "new", "--head", str(site / "head"))
    assert sum(each["outcome"] == "classified" for each in answers) >= 7
    right = [each for each in answers if each["label"] == f"site-{Path(str(each['source'])).parent.name}"]
    assert len(right) >= 7
    others = classify(site / "others", "--head", str(site / "head"))
    assert {each["reason"] for each in others} == {"unfamiliar"}


def test_the_report_says_how_good_it_is_and_what_was_skipped(
    site: Path, adapted: subprocess.CompletedProcess[str]
) -> None:
    report = json.loads(adapted.stdout)
    assert report == json.loads((site / "report" / "report.json").read_text())
    assert report["provisional"] is False
    assert report["pictures"]["unreadable_count"] == 1
    low, high = report["figures"]["accuracy_interval_ratio"]
    assert low <= report["figures"]["accuracy_ratio"] <= high
    assert report["evidence"]["permutation_ratio"] <= 0.01
    (foreign,) = report["findings"]["foreign_refusals"][:1]
    assert foreign["refused_ratio"] == 1


def test_a_head_has_hashes_and_figures_but_no_picture_and_no_path(
    site: Path, adapted: subprocess.CompletedProcess[str]
) -> None:
    head = site / "head"
    assert sorted(path.name for path in head.iterdir()) == ["card.md", "examples.csv", HEAD_MANIFEST, HEAD_ARRAYS]
    for path in head.iterdir():
        content = path.read_bytes()
        assert str(site).encode() not in content
        assert b"000.png" not in content
    assert (head / "examples.csv").read_text().count("\n") == 1 + len(CLASSES) * PER_CLASS
    assert json.loads((head / HEAD_MANIFEST).read_text())["demonstration"] is True


def test_a_quick_fit_reuses_what_was_measured_and_proves_nothing(
    site: Path, adapted: subprocess.CompletedProcess[str]
) -> None:
    done = adapt(site, "quick", "--quick", "--json", "--progress", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["provisional"] is True
    assert report["evidence"] is None
    assert report["figures"] == json.loads(adapted.stdout)["figures"]
    *lines, imported = done.stderr.splitlines()
    assert imported == "[]"
    steps = [json.loads(line) for line in lines]
    ratios = [each["progress_ratio"] for each in steps]
    assert ratios == sorted(ratios)
    assert steps[-1] == {"progress_ratio": 1.0, "stage": "done"}
    abstained = classify(site / "new", "--head", str(site / "quick"))
    assert {each["reason"] for each in abstained} <= {"model_unproven", "unfamiliar"}


def test_an_existing_folder_is_left_alone(site: Path, adapted: subprocess.CompletedProcess[str]) -> None:
    before = {path.name: path.read_bytes() for path in (site / "head").iterdir()}
    done = adapt(site, "head")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert before == {path.name: path.read_bytes() for path in (site / "head").iterdir()}
