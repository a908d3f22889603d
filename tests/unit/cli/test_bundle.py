"""The output and effects of ``edge-agent bundle``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.bundle import bundle
from edge_agent.cli.doctor import examine
from edge_agent.config import load_config
from edge_agent.errors import (
    BundleWrongKind,
    ConfigError,
    ModelInUse,
    ModelNoPrevious,
    ModelUnknown,
    UnsignedRefused,
)
from edge_agent.inference import shipped_bundles
from tests.cells import make_cells_bundle
from tests.heads import write_head


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "demo"\n'
        f'[mqtt]\nhost = "localhost"\n[state]\nfolder = "{tmp_path / "state"}"\n'
    )
    return file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    shutil.copytree(shipped_bundles()["demo"], folder)
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": "9.0.0"}))
    return folder


def test_doctor_examines_the_model_that_was_activated(config: Path, source: Path) -> None:
    assert run(config, "install", source).exit_code == 0
    assert run(config, "activate", "demo@9.0.0").exit_code == 0

    found = next(each for each in examine(load_config(config)) if each.check == "bundle")

    assert "demo 9.0.0 verified" in found.detail


def run(config: Path, *arguments: object) -> Result:
    return CliRunner().invoke(bundle, [*map(str, arguments), "--config", str(config)])


def done(config: Path, *arguments: object) -> str:
    result = run(config, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def listed(config: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(done(config, "list", "--json"))
    return found


def test_a_bundle_goes_from_its_folder_into_use_and_back(config: Path, source: Path, tmp_path: Path) -> None:
    assert "signature: unsigned" in done(config, "pack", source, "--out", tmp_path / "demo.zip")
    assert "golden outputs are right" in done(config, "verify", tmp_path / "demo.zip")
    assert "bundle activate demo@9.0.0" in done(config, "install", tmp_path / "demo.zip")
    assert listed(config)["chosen"] == {"bundle": "demo", "head": None}, "an installation changes nothing"
    said = done(config, "activate", "demo@9.0.0")
    assert "Activated: demo@9.0.0" in said
    assert "on trial for 10 minutes" in said
    assert listed(config)["chosen"] == {"bundle": "demo@9.0.0", "head": None}
    table = done(config, "list")
    assert "* in use: demo@9.0.0" in table
    assert "before it: demo" in table
    with pytest.raises(ModelInUse):
        raise_from(run(config, "remove", "demo@9.0.0"))
    assert "Rolled back to: demo." in done(config, "rollback")
    assert "given up" in done(config, "list")
    done(config, "remove", "demo@9.0.0")
    with pytest.raises(ModelNoPrevious):
        raise_from(run(config, "rollback"))


def test_a_head_is_activated_with_the_bundle_that_it_fits(config: Path, tmp_path: Path) -> None:
    assert "activate --head north-clinic-1@1.0.0" in done(config, "install", write_head(tmp_path / "head"))
    assert "demo with the head north-clinic-1@1.0.0" in done(config, "activate", "--head", "north-clinic-1")
    assert "blast" in done(config, "show", "north-clinic-1", "--head")
    assert "provisional" in done(config, "list")


def test_show_says_who_vouches_for_a_bundle_and_what_it_tells_apart(config: Path) -> None:
    said = done(config, "show", "accurate")
    for words in ("signature  shipped", "proven", "malignant", "trained on"):
        assert words in said
    facts = json.loads(done(config, "show", "accurate", "--json"))
    assert facts["unproven_reasons"] == []
    assert facts["manifest"]["name"] == "accurate"


def test_what_is_damaged_is_listed_with_its_problem(config: Path, source: Path) -> None:
    done(config, "install", source)
    folder = Path(str(listed(config)["folder"])) / "bundles" / "demo-9.0.0"
    (folder / "card.md").write_text("changed")
    result = run(config, "list")
    assert result.exit_code == 0
    assert "card.md is not the file it was made with" in result.stderr
    assert "demo@9.0.0" not in result.stdout


def test_what_is_not_installed_cannot_be_activated(config: Path) -> None:
    for arguments in (("activate", "none"), ("activate", "--head", "none"), ("show", "none"), ("remove", "../../etc")):
        with pytest.raises(ModelUnknown):
            raise_from(run(config, *arguments))
    with pytest.raises(ConfigError, match="Nothing to activate"):
        raise_from(run(config, "activate"))


def test_a_bundle_that_the_agent_could_not_use_beside_the_cells_bundle_is_not_activated(
    config: Path, source: Path
) -> None:
    text = config.read_text()
    config.write_text(text.replace('bundle = "demo"', 'bundle = "demo"\ncells_bundle = "cells"'))
    with pytest.raises(BundleWrongKind, match="judges cells itself"):
        raise_from(run(config, "activate", "cells"))
    assert listed(config)["chosen"] == {"bundle": "demo", "head": None}
    done(config, "install", source)
    assert "Activated: demo@9.0.0" in done(config, "activate", "demo@9.0.0")


def test_a_device_that_takes_only_what_is_signed_says_so(config: Path, source: Path) -> None:
    config.write_text(f'{config.read_text()}[models]\nunsigned = "never"\n')
    for command in ("verify", "install"):
        with pytest.raises(UnsignedRefused):
            raise_from(run(config, command, source))


def test_without_a_configuration_only_looking_is_possible(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    runner = CliRunner()
    assert runner.invoke(bundle, ["verify", str(source)]).exit_code == 0
    assert runner.invoke(bundle, ["list"]).exit_code == 0
    with pytest.raises(ConfigError):
        raise_from(runner.invoke(bundle, ["activate", "demo"]))


def raise_from(result: Result) -> None:
    assert result.exception is not None, result.output
    raise result.exception


def test_the_list_says_which_bundles_judge_cells(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done(config, "install", make_cells_bundle(tmp_path / "cells"))
    rows = {line.split()[1]: line for line in done(config, "list").splitlines() if " bundle " in f" {line}"}
    assert "judges cells" in rows["test-cells@0.3.0"]
    assert [name for name, line in rows.items() if "judges cells" in line] == ["cells", "test-cells@0.3.0"]
    models = listed(config)["models"]
    assert isinstance(models, list)
    assert {each["reference"]: each["judges"] for each in models if each["name"] in {"demo", "test-cells"}} == {
        "demo": "field",
        "test-cells@0.3.0": "cells",
    }
