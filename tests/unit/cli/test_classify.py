from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.cell_scale import USUAL_SCALE
from edge_agent.cameras.smear import draw_smear
from edge_agent.cli import app, classify
from edge_agent.cli.demo import Narrator
from edge_agent.cli.file_readings import FileReading, UnreadFile, classify_paths, count_frames, find_cell_scale
from edge_agent.cli.terminal import output
from edge_agent.contracts import Outcome, Reason, Result
from edge_agent.errors import BundleWrongKind, ImageError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from tests.cells import make_cells_bundle


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


@pytest.fixture
def pictures(tmp_path: Path, smear: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(smear).save(folder / f"{number}.png")
    return folder


def read(analyzer: Analyzer, *paths: Path) -> tuple[list[FileReading], dict[str, str]]:
    unread: list[UnreadFile] = []
    readings = list(classify_paths(list(paths), analyzer, unread.append))
    assert count_frames(list(paths)) is None or readings is not None
    return readings, {item.name: item.error.code for item in unread}


def test_a_source_is_the_name_below_the_folder_that_was_given(pictures: Path, analyzer: Analyzer) -> None:
    (pictures / "inner").mkdir()
    (pictures / "1.png").rename(pictures / "inner" / "1.png")
    readings, unread = read(analyzer, pictures, pictures / "0.png", pictures / "inner")
    assert [each.result.source for each in readings] == ["0.png", "inner/1.png", "0.png", "1.png"]
    assert [each.name for each in readings] == [
        f"{pictures}/0.png",
        f"{pictures}/inner/1.png",
        f"{pictures}/0.png",
        f"{pictures}/inner/1.png",
    ]
    assert unread == {}


def test_absolute_and_relative_paths_and_a_file_named_twice_are_all_read(
    pictures: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    readings, unread = read(analyzer, Path("0.png"), pictures / "1.png", Path("0.png"), Path("../pictures"), Path())
    assert [each.name for each in readings] == [
        "0.png",
        f"{pictures}/1.png",
        "0.png",
        "../pictures/0.png",
        "../pictures/1.png",
        "./0.png",
        "./1.png",
    ]
    assert unread == {}


def test_each_kind_of_path_that_cannot_be_read_has_its_code(
    tmp_path: Path, pictures: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "no-video.avi").write_bytes(b"no video")
    (tmp_path / "zero.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.avi")
    (tmp_path / "folder.avi").mkdir()
    (tmp_path / "folder.avi" / "broken.jpe").write_bytes(b"broken")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # Root may list everything, so no folder mode would do.
    monkeypatch.setattr(os, "scandir", refuse)
    names = {
        "absent.png": "image_missing",
        "0.png/below": "image_missing",
        "empty": "image_missing",
        "locked": "image_unreadable",
        "loop": "image_unreadable",
        "no-video.avi": "image_unreadable",
        "zero.png": "image_unreadable",
        "pipe.png": "image_unreadable",
        "pipe.avi": "image_unreadable",
        "n" * 300: "image_unreadable",
    }
    (tmp_path / "0.png").touch()
    readings, unread = read(analyzer, *(tmp_path / name for name in names), tmp_path / "folder.avi", pictures)
    assert unread == {f"{tmp_path}/{name}": code for name, code in names.items()} | {
        f"{tmp_path}/folder.avi/broken.jpe": "image_unreadable"
    }
    assert [each.result.outcome for each in readings][-2:] == ["classified", "classified"]


def test_an_address_given_as_a_path_is_not_repeated(analyzer: Analyzer) -> None:
    readings, unread = read(analyzer, Path("rtsp://nurse:hush@scope/live"), Path("http://scope/?password=hush"))
    assert readings == []
    assert unread == {"rtsp://...": "image_missing", "http://...": "image_missing"}


def test_what_a_folder_or_video_leaves_out_is_a_failed_reading_with_its_name(
    tmp_path: Path, smear: NDArray[np.uint8], pictures: Path, analyzer: Analyzer
) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "cut.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (224, 224))
    for _ in range(20):
        writer.write(smear[..., ::-1])
    writer.release()
    whole = (tmp_path / "cut.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    field = Image.fromarray(smear)
    field.save(pictures / "stack.tif", save_all=True, append_images=[field, field])
    os.mkfifo(pictures / "pipe.jpg")
    readings, unread = read(analyzer, pictures, tmp_path / "cut.avi")
    last = readings[-1]
    assert last.result.source is not None
    assert last.result.source.startswith("cut.avi#frame=")
    assert unread == {
        f"{pictures}/pipe.jpg": "image_unreadable",
        f"{pictures}/stack.tif#page=2": "image_unsupported",
        last.name: "image_unreadable",
    }
    assert sum(each.result.outcome is Outcome.FAILED for each in readings) == 3


def run(*arguments: str | Path) -> tuple[int, str]:
    return invoke(*arguments, "--bundle", "demo")


def invoke(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app.app, ["classify", *map(str, arguments)])
    return done.exit_code, done.output


def test_markup_in_a_name_is_part_of_the_name(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures.rename(pictures.with_name("[bold]pictures[red]"))
    (folder / "0.png").rename(folder / "slide[a].png")
    (folder / "1.png").rename(folder / "slide[red]b[.png")
    monkeypatch.setenv("COLUMNS", "300")
    status, shown = run(folder, "--format", "table")
    assert status == 0
    assert "slide[a].png" in shown
    assert "slide[red]b[.png" in shown
    assert "[bold]pictures[red]" in shown
    absent = "gone[a].png"
    status, shown = run(absent)
    assert status == 3
    assert f"{absent}: image_missing: There is no file or folder {absent}." in shown


def test_each_reason_in_the_table_is_explained_once_below_it(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    black = np.zeros((240, 240, 3), np.uint8)
    for name in ("dark.png", "darker.png"):
        Image.fromarray(black).save(pictures / name)
    Image.fromarray(black[:50, :50]).save(pictures / "tiny.png")
    (pictures / "broken.png").write_bytes(b"broken")
    monkeypatch.setenv("COLUMNS", "300")
    # The width is fixed to the variable's value when the console was made, as it is in each of several processes.
    monkeypatch.setattr(output, "_width", None)
    _, shown = run(pictures, "--format", "table")
    below, _, _ = shown.partition("diagnosis.")[2].partition("1 not read:")
    legend = dict(line.strip().split(maxsplit=1) for line in below.splitlines() if line.strip())
    for reason in (Reason.UNDER_EXPOSED, Reason.FIELD_TOO_SMALL):
        assert shown.count(reason.sentence) == 1
        assert legend[reason] == f"{reason.sentence} {reason.next_step}"
    assert legend["image_unreadable"] == ImageError.remedy
    assert len(legend) == 3


def test_the_table_says_in_one_line_what_differs_in_unfamiliar_pictures(
    pictures: Path, smear: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    dim = (smear * 0.6).astype(np.uint8)
    Image.fromarray(dim).save(pictures / "dim.png")
    _, shown = run(pictures, "--format", "table")
    assert shown.rstrip().splitlines()[-1] == (
        "What differs most: The background is darker than in the training images. Check lamp, exposure and gamma."
    )
    Image.fromarray(np.ascontiguousarray(dim[::-1])).save(pictures / "dim-too.png")
    large, _ = draw_smear(np.random.default_rng(7), "pre-b", um_per_pixel=0.235)
    Image.fromarray(large).save(pictures / "large.png")
    _, shown = run(pictures, "--format", "table")
    assert "What differs most in 2 of 3 unfamiliar pictures: The background is darker" in shown


def test_a_table_of_labels_needs_no_explanation(pictures: Path) -> None:
    _, shown = run(pictures, "--format", "table")
    assert shown.rstrip().endswith("diagnosis.")


def test_the_demonstration_explains_a_reason_where_it_first_appears(pictures: Path, analyzer: Analyzer) -> None:
    for name in ("dark.png", "darker.png"):
        Image.fromarray(np.zeros((240, 240, 3), np.uint8)).save(pictures / name)
    readings, _ = read(analyzer, pictures)
    narrator = Narrator()
    lines = [narrator.describe(each.result).splitlines() for each in readings]
    assert [len(each) for each in lines] == [1, 1, 2, 1]
    assert lines[2][1].strip() == f"{Reason.UNDER_EXPOSED.sentence} {Reason.UNDER_EXPOSED.next_step}"


def test_an_empty_folder_is_named_and_its_table_is_empty(tmp_path: Path) -> None:
    for style in ("json", "table"):
        status, shown = run(tmp_path, "--format", style)
        assert status == 3
        assert "image_missing" in shown


@pytest.mark.parametrize("style", ["json", "table"])
def test_an_interruption_shows_what_there_is(pictures: Path, monkeypatch: pytest.MonkeyPatch, style: str) -> None:
    def interrupted(
        paths: list[Path], analyzer: Analyzer, on_unread: Callable[[UnreadFile], None]
    ) -> Iterator[FileReading]:
        yield from classify_paths([Path("gone.png"), *paths], analyzer, on_unread)
        raise KeyboardInterrupt

    monkeypatch.setattr(classify, "classify_paths", interrupted)
    status, shown = run(pictures, "--format", style)
    assert status == 130
    assert "0.png" in shown
    assert "1.png" in shown
    assert "gone.png" in shown


def test_output_is_json_whatever_bytes_a_name_has(pictures: Path) -> None:
    (pictures / "0.png").rename(pictures / os.fsdecode(b"slide-\xff\n.png"))
    status, shown = run(pictures)
    assert status == 0
    assert [json.loads(line)["source"] for line in shown.splitlines()] == ["1.png", r"slide-\xff\n.png"]


def test_each_image_is_one_cell_where_that_is_asked_for(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_cells_bundle(tmp_path / "cells")
    (pictures / "2.png").write_bytes(b"no picture")
    monkeypatch.setenv("COLUMNS", "200")
    status, shown = invoke(pictures, "--bundle", bundle, "--as-cell")
    assert status == 3
    results = [Result.model_validate_json(line) for line in shown.splitlines() if line.startswith("{")]
    assert [each.outcome for each in results] == ["classified", "classified", "failed"]
    assert [[cell.type for cell in each.cells] for each in results] == [[results[0].label], [results[1].label], []]
    status, shown = invoke(pictures / "0.png", "--bundle", bundle, "--as-cell", "--format", "table")
    assert status == 0
    assert "blasts" in shown
    assert re.search(r"[01] of 1 ", shown)


@pytest.mark.parametrize(
    ("options", "said"),
    [((), "guessed by the nuclei in 2 images. Give --um-per-pixel"), (("--um-per-pixel", "0.2"), "0.2 um per pixel")],
    ids=["measured", "given"],
)
def test_the_scale_of_single_cells_is_said_once_and_not_among_the_results(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    bundle = make_cells_bundle(tmp_path / "cells")
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("0.png", "2.png"):
        drawn = np.full((200, 200, 3), (234, 226, 232), np.uint8)
        cv2.circle(drawn, (100, 100), 33, (130, 55, 92), -1, cv2.LINE_AA)
        cv2.imwrite(str(folder / name), drawn)
    (folder / "1.png").write_bytes(b"no picture")
    program = [sys.executable, "-m", "edge_agent", "classify", str(folder), "--bundle", str(bundle), "--as-cell"]
    done = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    results = [Result.model_validate_json(line) for line in done.stdout.splitlines()]
    assert [each.outcome for each in results] == ["classified", "failed", "classified"]
    assert done.stderr.count("Scale: ") == 1
    assert said in done.stderr
    side_px = results[0].cells[0].window_side_px
    assert side_px is not None
    assert side_px == pytest.approx(120 if options else 24 / (np.sqrt(32 * 10.5 / 0.33) / 200), rel=0.03)


def test_a_path_that_is_not_there_or_a_video_says_nothing_about_the_scale(tmp_path: Path, pictures: Path) -> None:
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 1, (224, 224))
    frame = np.full((224, 224, 3), (234, 226, 232), np.uint8)
    film.write(np.asarray(cv2.circle(frame, (112, 112), 33, (130, 55, 92), -1, cv2.LINE_AA)))
    film.release()
    assert count_frames([tmp_path / "film.avi"]) is None
    paths = [tmp_path / "gone", tmp_path / "film.avi", tmp_path / "gone.png"]
    assert find_cell_scale(paths) == USUAL_SCALE
    assert find_cell_scale([]) == USUAL_SCALE
    assert find_cell_scale([*paths, pictures]) == find_cell_scale([pictures])


def test_one_cell_of_a_bundle_that_judges_fields_is_one_clear_error(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(BundleWrongKind, match="'demo' judges whole fields"):
        classify.classify([pictures], bundle="demo", as_cell=True)
