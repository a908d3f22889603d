"""``dataset.toml``: all of its errors are reported at once, with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.vision.field import Geometry
from trainer.data.description import load_description
from trainer.data.toml_lines import line_of
from trainer.errors import DataError

WRONG = '''\
name = "slides"
source = """\\
a line that looks like a key
code = 3
"""
license = "CC0"
synthetic = "perhaps"
um_per_pixel = -1
limits = ""

[[classes]]
folder = "A"
code = "Type A"
meaning = "m"
malignant = true

[[classes]]
folder = "A"
code = "b"
display_name = "B"
meaning = "m"
malignant = false
colour = "red"
'''


def _complaints(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "dataset.toml").write_text(text)
    with pytest.raises(DataError) as raised:
        load_description(None, tmp_path)
    return [line.strip() for line in raised.value.message.splitlines()]


def test_all_errors_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    head, *lines = _complaints(tmp_path, WRONG)
    assert "9 errors" in head
    for expected in (
        "line 1: licence is missing.",
        "line 6: license is not a known key; did you mean licence?",
        "line 7: synthetic: ",
        "line 8: um_per_pixel: ",
        "line 9: limits: ",
        "line 11: classes.1.display_name is missing.",
        "line 13: classes.1.code: 'Type A' is not allowed",
        "line 18: classes 1 and 2 share a folder: A.",
        "line 23: classes.2.colour is not a known key",
    ):
        assert [line for line in lines if line.startswith(expected)], expected


def test_mistakes_in_the_geometry_are_named_with_their_lines(tmp_path: Path) -> None:
    field = '[field]\naspect_width = 0\naspect_hight = 3\nfit = "squeeze"\n\n[[classes]]'
    lines = _complaints(tmp_path, WRONG.replace("[[classes]]", field, 1))
    for expected in (
        "line 11: field.aspect_height is missing.",
        "line 12: field.aspect_width: ",
        "line 13: field.aspect_hight is not a known key; did you mean aspect_height?",
        "line 14: field.fit: ",
    ):
        assert [line for line in lines if line.startswith(expected)], (expected, lines)


def test_without_a_geometry_images_are_centre_squares(tmp_path: Path) -> None:
    assert load_description("synthetic", tmp_path).geometry == Geometry(224)
    assert load_description("all4", tmp_path).geometry == Geometry(224, 4, 3, half_chroma=True)


def test_an_empty_file_names_every_key_that_is_missing(tmp_path: Path) -> None:
    lines = _complaints(tmp_path, "")
    for key in ("name", "source", "licence", "limits", "synthetic", "classes"):
        assert f"line 1: {key} is missing." in lines


@pytest.mark.parametrize("classes", ['"none"', "[1, 2]", "[]", "{}"])
def test_classes_of_another_kind_are_one_error(tmp_path: Path, classes: str) -> None:
    assert any("classes" in line for line in _complaints(tmp_path, f"classes = {classes}\n")[1:])


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "trainer" / "datasets" / "synthetic.toml").read_text(encoding="utf-8")
    (tmp_path / "dataset.toml").write_text(text, encoding="utf-8-sig")
    assert load_description(None, tmp_path).synthetic


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("name",), 1),
        (("code",), None),
        (("classes", 0, "code"), 13),
        (("classes", 1, "code"), 19),
        (("classes", 0, "display_name"), 11),
        (("classes", 1), 17),
        (("classes", 2, "code"), None),
        (("nothing",), None),
    ],
)
def test_a_keys_line_is_found(location: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(WRONG, location) == line
