from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.collection.label_sets import label_sets
from edge_agent.collection.settings import CollectionSettings, Keep
from edge_agent.config import load_config
from edge_agent.config.examination import examine_config
from edge_agent.errors import ConfigError
from tests.kept import LABELS

GOOD = (
    '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n'
    '[analysis]\nbundle = "demo"\n[collection]\n'
)


def problems(tmp_path: Path, text: str) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD + text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    return caught.value.message


def test_nothing_is_kept_unless_somebody_asked_for_it() -> None:
    assert CollectionSettings().keep is Keep.NOTHING


@pytest.mark.parametrize("consent", ["", 'consent = "  "\n'])
@pytest.mark.parametrize("keep", [each for each in Keep if each is not Keep.NOTHING])
def test_keeping_frames_needs_to_say_who_agreed(tmp_path: Path, keep: Keep, consent: str) -> None:
    assert f"collection.consent: is missing, but keep is '{keep}'; write who agreed" in problems(
        tmp_path, f'keep = "{keep}"\n{consent}'
    )


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (
            '[{name="a",labels=[{code="x",name="X",malignant=true},{code="x",name="Y",malignant=true}]}]',
            "two of them have the code 'x'",
        ),
        ('[{name="a",labels=[{code="skip",name="S",malignant=true}]}]', "'skip' is always on the page"),
        ('[{name="a",labels=[]}]', "at least 1 item"),
        ('[{name="a",labels=[{code="x",name="X"}]}]', "label_sets.0.labels.0.malignant: is missing"),
        (
            '[{name="a",labels=[{code="x",name="X",malignant=true}]},{name="a",labels=[{code="y",name="Y",malignant=true}]}]',
            "two of them have the name 'a'",
        ),
    ],
)
def test_a_label_set_that_cannot_be_used_is_named(tmp_path: Path, sets: str, words: str) -> None:
    assert words in problems(tmp_path, f"label_sets = {sets}\n")


def test_without_label_sets_the_labels_are_the_bundles() -> None:
    found = label_sets([], LABELS)
    assert [(name, each.codes) for name, each in found.items()] == [
        ("classes", ("benign", "early-pre-b", "pre-b", "pro-b"))
    ]
    assert [each.malignant for each in found["classes"].labels] == [False, True, True, True]


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root can write everywhere.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    file = tmp_path / "agent.toml"
    file.write_text(GOOD + f'keep = "all"\nconsent = "the board"\nfolder = "{tmp_path}/collection"\n')
    found = [each for each in examine_config(file) if each.keys == ("collection", "folder")]
    assert [each.is_warning for each in found] == [True]
    assert "this user cannot write to" in found[0].explanation


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file is not a folder" in examine(tmp_path, tmp_path / "file" / "collection")


def test_the_state_folder_itself_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    file = tmp_path / "agent.toml"
    file.write_text(GOOD + f'folder = "{state}"\n[state]\nfolder = "{state}"\n')
    found = [each.explanation for each in examine_config(file) if not each.is_warning]
    assert found == ["collection.folder: is the folder of state too; choose another folder for the collection"]


def examine(tmp_path: Path, folder: Path) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(GOOD + f'keep = "all"\nconsent = "the board"\nfolder = "{folder}"\n')
    (found,) = examine_config(file)
    assert found.keys == ("collection", "folder")
    return found.explanation
