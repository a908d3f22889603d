"""Installing a head apart from the agent: its problems reach the agent as text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.adaptation.fit_process import FitCancelled
from edge_agent.adaptation.installer import install_apart
from edge_agent.agent.own_heads import OwnHeads
from edge_agent.errors import AdaptationError, UnsignedRefused
from edge_agent.rollout import ModelSettings, ModelStore
from tests.fake_trainer import manifest


def test_a_head_that_does_not_verify_is_refused_with_the_stores_words(tmp_path: Path) -> None:
    head = tmp_path / "head"
    head.mkdir()
    (head / "head.json").write_text(json.dumps(manifest("north-1", "1.0.0", {"a": 20, "b": 20}, proven=True)))
    with pytest.raises(AdaptationError, match=r"cannot be installed: .*north-1") as refused:
        install_apart(head, tmp_path / "models", ModelSettings())
    assert refused.value.remedy
    assert not list((tmp_path / "models").rglob("head.json"))


def test_an_installer_that_breaks_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(AdaptationError, match="code 1"):
        install_apart(tmp_path, tmp_path, ModelSettings())


def test_an_installer_that_ends_with_the_service_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -TERM $$\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    settings = ModelSettings()
    with pytest.raises(FitCancelled):
        OwnHeads(lambda: ModelStore(tmp_path, settings), lambda: settings).install_own(tmp_path)


def test_the_next_version_follows_the_newest_one(tmp_path: Path) -> None:
    settings = ModelSettings()
    heads = OwnHeads(lambda: ModelStore(tmp_path, settings), lambda: settings)
    assert heads.next_version("north-1") == "1.0.0"
    for version in ("1.0.9", "1.0.10", "1.0.2"):
        (tmp_path / "heads" / f"north-1-{version}").mkdir(parents=True)
    assert heads.next_version("north-1") == "1.0.11"
    assert heads.next_version("north") == "1.0.0"


def test_where_every_head_needs_a_signature_no_fit_begins(tmp_path: Path) -> None:
    settings = ModelSettings(unsigned="never")
    with pytest.raises(UnsignedRefused, match="no signature"):
        OwnHeads(lambda: ModelStore(tmp_path, settings), lambda: settings).require_allowed()
