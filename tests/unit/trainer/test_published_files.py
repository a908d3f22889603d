"""Files that releases have published stay readable, whatever the code calls their figures."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from trainer.cli import main
from trainer.data.split import near_duplicates_count, read_split
from trainer.data.split_policy import Disjoint
from trainer.evaluation.audit import read_audit
from trainer.evaluation.evaluate import Evaluation
from trainer.files import write_json

FIGURES = Path(__file__).parents[3] / "docs" / "figures"


def test_the_published_audit_is_read_and_written_with_the_same_keys(tmp_path: Path) -> None:
    audit = read_audit(FIGURES / "audit" / "audit.json")
    assert audit.near_duplicate_pairs_count == 449
    assert any(shortcut.reveals_label for shortcut in audit.shortcuts)
    write_json(tmp_path / "audit.json", audit)
    published = json.loads((FIGURES / "audit" / "audit.json").read_text())
    assert json.loads((tmp_path / "audit.json").read_text()) == published
    assert json.loads(audit.model_dump_json()) == published


@pytest.mark.parametrize("bundle", ["accurate", "fast"])
def test_a_published_evaluation_is_read_and_written_with_the_same_keys(bundle: str) -> None:
    text = (FIGURES / bundle / "evaluation.json").read_text()
    assert json.loads(Evaluation.model_validate_json(text).model_dump_json()) == json.loads(text)


def test_the_published_split_is_read() -> None:
    split = Path(str(resources.files("trainer") / "splits" / "all4.csv"))
    assert near_duplicates_count(read_split(split)) > 700


def test_the_option_twins_of_the_first_release_still_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Disjoint("twins") is Disjoint.NEAR_DUPLICATES
    words = ["prepare", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "s.csv"), "--disjoint", "twins"]
    with pytest.raises(SystemExit):
        main(words)
    assert "error data_invalid" in capsys.readouterr().err
