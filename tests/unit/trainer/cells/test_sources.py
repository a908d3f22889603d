"""``sources.toml``: the content of the shipped file, and that all errors of another are listed with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.cells.laboratories.sources import SHIPPED, TYPES, Groups, Meaning, Use, load_sources
from trainer.errors import DataError


def test_the_shipped_laboratories_and_their_scales() -> None:
    sources = load_sources()
    assert {each.code: each.side_um for each in sources.laboratories} == {
        "jhu": 36,
        "lmu": 28.3,
        "pbc": 37,
        "cnmc": 26,
        "tecom300": 26,
        "cellavision100": 33,
    }
    assert {each.code for each in sources.laboratories if each.use is Use.TESTING} == {"tecom300", "cellavision100"}
    assert {each.code for each in sources.laboratories if each.groups is Groups.PATIENTS} == {"jhu", "cnmc"}


def test_the_types_are_those_of_a_bundle_in_its_order() -> None:
    assert ",".join(TYPES) == (
        "blast,lymphocyte,monocyte,neutrophil,eosinophil,basophil,immature-granulocyte,erythroblast,smudge"
    )


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("leukemia", Meaning.BLAST),
        ("lymphocyte_variant", Meaning.LYMPHOCYTE),
        ("neutrophil_band", Meaning.NEUTROPHIL),
        ("metamyelocyte", Meaning.IMMATURE_GRANULOCYTE),
        ("healthy", Meaning.NOT_BLAST),
        ("platelet", Meaning.NOT_A_CELL),
        ("promonocyte", Meaning.LEFT_OUT),
    ],
)
def test_a_class_means_what_was_decided(name: str, meaning: Meaning) -> None:
    assert load_sources().classes[name] is meaning


def test_every_type_is_what_some_class_means() -> None:
    assert set(TYPES) <= set(load_sources().classes.values())


def test_all_errors_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    text = SHIPPED.read_text()
    for right, wrong in (
        ("side_um = 36.0", "side_um = -36.0"),
        ('manifest = "cnmc/manifest.csv"', 'manifest = "../cnmc/manifest.csv"'),
        ('licence = "PBC Barcelona', 'license = "PBC Barcelona'),
        ('smudge = "smudge"', 'smudge = "smear"'),
    ):
        assert right in text
        text = text.replace(right, wrong)
    path = tmp_path / "sources.toml"
    path.write_text(text)
    lines = text.splitlines()
    with pytest.raises(DataError) as raised:
        load_sources(path)
    head, *found = raised.value.message.splitlines()
    assert head.endswith("has 5 errors:")
    for wrong, explanation in (
        ("side_um = -36.0", "laboratories.1.side_um: input should be greater than 5."),
        ('manifest = "../cnmc', "laboratories.4.manifest: must be a path inside the data folder."),
        ("license =", "laboratories.3.license is not a known key; did you mean licence?"),
        ('smudge = "smear"', "classes.smudge: input should be 'blast'"),
    ):
        number = next(number for number, line in enumerate(lines, start=1) if line.startswith(wrong))
        assert any(line.strip().startswith(f"line {number}: {explanation}") for line in found), (explanation, found)
    assert any("laboratories.3.licence is missing." in line for line in found)


def test_two_laboratories_of_one_code_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(SHIPPED.read_text().replace('code = "lmu"', 'code = "jhu"'))
    with pytest.raises(DataError, match="two laboratories have the code jhu"):
        load_sources(path)


@pytest.mark.parametrize("content", [b"[[laboratories", b"\xff", b""], ids=["not-toml", "not-utf-8", "empty"])
def test_what_is_no_description_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sources.toml"
    path.write_bytes(content)
    with pytest.raises(DataError):
        load_sources(path)


def test_a_missing_file_and_an_unknown_laboratory_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_sources(tmp_path / "sources.toml")
    with pytest.raises(DataError, match="no laboratory jhc") as raised:
        load_sources().laboratory("jhc")
    assert "jhu" in raised.value.remedy
