"""User errors with every command of the trainer: each ends in one error, before any image is read."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from typer.main import get_command

from edge_agent.inference import load_bundle
from tests.train_options import recipe_without_epochs
from trainer.cli.entry_point import app, main
from trainer.data.dataset import read_dataset
from trainer.data.description import load_description
from trainer.data.split import Assignment, Part, write_split
from trainer.data.synthesis import synthesise
from trainer.export.quantization import Quantization
from trainer.files import write_json
from trainer.networks.backbone import build_backbone
from trainer.networks.network import build_network
from trainer.networks.weights import named_weights, write_weights
from trainer.spec import middle_layer
from trainer.training.run import RunConfig

ALPHA = 0.35
COMMANDS = (
    "synth",
    "prepare",
    "audit",
    "train",
    "quantize",
    "bundle",
    "evaluate",
    "compare",
    "cross-validate",
    "probe",
)

BY_NAME = get_command(app).commands  # type: ignore[attr-defined]  # A group of commands; Typer's hint says a command.


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the commands take: data, a table, a split, weights, a quantized run, and a foreign image."""
    folder = tmp_path_factory.mktemp("inputs")
    data, run = folder / "data", folder / "run"
    synthesise(data, per_class=3, seed=1)
    described = load_description(None, data)
    dataset = read_dataset(data, described)
    rows = [f"{file.path},{file.label},s{index}" for index, file in enumerate(dataset.files)]
    (data / "table.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    parts = [list(Part)[index % 3] for index in range(len(dataset.files))]
    run.mkdir()
    for path in (folder / "split.csv", run / "manifest.csv"):
        write_split(path, [Assignment(file, i, parts[i]) for i, file in enumerate(dataset.files)])
    backbone = build_backbone(ALPHA)
    write_weights(folder / "weights.npz", named_weights(backbone))
    write_weights(run / "weights.npz", named_weights(build_network(backbone, 4, middle_layer(ALPHA))))
    options = recipe_without_epochs(
        data=data.as_posix(),
        out=run.as_posix(),
        description=None,
        alpha=ALPHA,
        weights="weights.npz",
    )
    config = RunConfig(
        options=options,
        dataset=described,
        dataset_sha256=dataset.sha256,
        images_count=len(dataset.files),
        command="trainer train",
        commit="unknown",
        created_at=datetime.now(UTC),
        versions={},
    )
    write_json(run / "config.json", config)
    write_json(run / "metrics.json", {"wall_s": 1.0, "cpu_s": 1.0, "cores_count": 1})
    quantized = folder / "quantized"
    shutil.copytree(run, quantized)
    model = load_bundle("demo").model_path.read_bytes()
    (quantized / "model.tflite").write_bytes(model)
    write_json(
        quantized / "quantization.json",
        Quantization(
            model_sha256=hashlib.sha256(model).hexdigest(),
            model_bytes=len(model),
            representative_count=1,
            operations={},
            edge_tpu=None,
        ),
    )
    (folder / "garbage").write_bytes(b"\xff\xfe\x00 no such thing")
    (folder / "empty").mkdir()
    return folder


def _words(command: str, inputs: Path, new: Path, **changed: str | Path) -> list[str]:
    """A command with the inputs that it needs; ``changed`` are other or additional options."""
    data, split, weights = inputs / "data", inputs / "split.csv", inputs / "weights.npz"
    options: dict[str, dict[str, str | Path | float]] = {
        "synth": {"out": new},
        "prepare": {"data": data, "out": new},
        "audit": {"data": data},
        "train": {"data": data, "out": new, "weights": weights, "alpha": ALPHA},
        "quantize": {"run": inputs / "run", "data": data},
        "bundle": {"run": inputs / "quantized", "data": data, "out": new, "name": "x", "version": "0.0.1"},
        "evaluate": {"bundle": "demo", "data": data, "split": split},
        "compare": {"data": data, "split": split, "weights": f"{ALPHA}={weights}", "out": new},
        "cross-validate": {
            "data": data,
            "split": split,
            "weights": weights,
            "alpha": ALPHA,
            "out": new,
            "folds": 3,
        },
        "probe": {"data": data, "table": data / "table.csv", "weights": weights, "alpha": ALPHA, "out": new},
    }
    merged = {**options[command], **{name.replace("_", "-"): value for name, value in changed.items()}}
    return [command, *(str(word) for name, value in merged.items() for word in (f"--{name}", value))]


def _run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture
def no_image_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> NoReturn:
        raise AssertionError(f"{path} was read before everything was checked")

    monkeypatch.setattr("trainer.data.dataset.read_field", read)


def _inputs_of_commands() -> Iterator[tuple[str, str]]:
    for option, commands in {
        "data": (
            "prepare",
            "audit",
            "train",
            "quantize",
            "bundle",
            "evaluate",
            "compare",
            "cross-validate",
            "probe",
        ),
        "description": ("prepare", "audit", "train", "compare", "cross-validate", "probe"),
        "table": ("prepare", "audit", "probe"),
        "split": ("audit", "train", "evaluate", "compare", "cross-validate"),
        "weights": ("train", "compare", "cross-validate", "probe"),
        "teacher": ("train",),
        "run": ("quantize", "bundle"),
        "audit": ("bundle",),
        "foreign": ("bundle", "evaluate"),
        "bundle": ("evaluate", "compare"),
        "other": ("compare",),
    }.items():
        yield from ((command, option) for command in commands)


@pytest.mark.usefixtures("no_image_is_read")
@pytest.mark.parametrize("kind", ["none/at all", "garbage", "empty", "garbage/below"])
@pytest.mark.parametrize(("command", "option"), list(_inputs_of_commands()))
def test_an_unusable_input_is_one_error_with_a_remedy(
    command: str, option: str, kind: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = {("compare", "weights"): f"{ALPHA}=", ("compare", "other"): "VGG16="}.get((command, option), "")
    assert _run(_words(command, inputs, tmp_path / "new", **{option: f"{prefix}{inputs / kind}"})) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *rest = [line for line in shown.err.splitlines() if line.strip()]
    assert first.startswith("error ")
    assert first.split()[1].rstrip(":").isidentifier()
    assert rest
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("no_image_is_read")
@pytest.mark.parametrize("kind", ["garbage", "garbage/below/it"])
@pytest.mark.parametrize(
    "command", ["synth", "prepare", "audit", "train", "bundle", "evaluate", "compare", "cross-validate", "probe"]
)
def test_an_output_that_cannot_be_created_is_one_error(
    command: str, kind: str, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(_words(command, inputs, inputs / kind, out=inputs / kind)) == 2
    assert capsys.readouterr().err.startswith("error ")
    assert (inputs / "garbage").read_bytes().startswith(b"\xff\xfe")


@pytest.mark.usefixtures("no_image_is_read")
@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("bundle", "name", "My Bundle"),
        ("bundle", "name", "a--b"),
        ("bundle", "name", ""),
        ("bundle", "name", "x" * 65),
        ("bundle", "version", "1.0"),
        ("bundle", "version", "v1.0.0"),
        ("train", "alpha", "7"),
        ("train", "alpha", "nan"),
        ("train", "network", "resnet"),
        ("train", "preprocessing", "rgb@99"),
        ("train", "denoise", "magic"),
        ("train", "variants", "0"),
        ("train", "test_share", "0.9"),
        ("train", "seed", "-1"),
        ("train", "seed", "4294967296"),
        ("prepare", "seed", "4294967296"),
        ("synth", "per_class", "1"),
        ("prepare", "disjoint", "nothing"),
        ("evaluate", "part", "practice"),
        ("compare", "weights", "weights.npz"),
        ("compare", "weights", "7=weights.npz"),
        ("compare", "other", "ResNet=imagenet"),
        ("compare", "preprocessing", "rgb@99"),
        ("cross-validate", "folds", "2"),
        ("cross-validate", "teachers", "-1"),
        ("probe", "alpha", "x"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_computed(
    command: str, option: str, value: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(_words(command, inputs, tmp_path / "new", **{option: value})) == 2
    assert option.replace("_", "-") in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("out", [".", "/"])
def test_a_head_cannot_be_a_folder_without_a_name(out: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["adapt", "--data", str(inputs / "data"), "--bundle", "demo", "--name", "north-1", "--out", out]
    assert _run(words) == 2
    assert f"{out} exists already" in capsys.readouterr().err


@pytest.mark.usefixtures("no_image_is_read")
def test_a_network_of_one_width_has_no_other(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(_words("train", inputs, tmp_path / "new", network="efficientnet-lite0")) == 2
    assert "efficientnet-lite0 has one width" in " ".join(capsys.readouterr().err.split())


def test_a_name_and_a_version_are_refused_together(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(_words("bundle", inputs, tmp_path / "new", name="My Bundle", version="1")) == 2
    shown = capsys.readouterr().err
    assert "'My Bundle' is not a name" in shown
    assert "'1' is not a version" in shown


@pytest.mark.parametrize("damage", ["model.tflite", "quantization.json", "config.json", "metrics.json", "manifest.csv"])
@pytest.mark.usefixtures("no_image_is_read")
def test_a_damaged_run_makes_no_bundle(
    damage: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(inputs / "quantized", tmp_path / "run"))
    content = (run / damage).read_bytes()
    (run / damage).write_bytes(content[: len(content) // 2])
    assert _run(_words("bundle", inputs, tmp_path / "new", run=run)) == 2
    assert capsys.readouterr().err.startswith("error ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", sorted(BY_NAME))
def test_every_option_is_explained_in_full(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Wide enough for each option to fit on one line.
    monkeypatch.setenv("COLUMNS", "400")
    assert _run([command, "--help"]) == 0
    shown = "".join(capsys.readouterr().out.replace("│", " ").split())
    for option in BY_NAME[command].params:
        help_text = option.help or ""
        assert help_text
        # Text in square brackets, which Rich treats as markup, would be missing.
        assert "".join(help_text.split()) in shown


@pytest.mark.parametrize("command", ["", "train"])
def test_a_closed_output_ends_a_command_quietly(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "trainer.cli", *command.split(), "--help"],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_tensorflow_starts_without_messages(inputs: Path, tmp_path: Path) -> None:
    words = _words("train", inputs, tmp_path / "new", data=inputs / "none")
    done = subprocess.run([sys.executable, "-m", "trainer.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error data_invalid: ")
    assert len(done.stderr.splitlines()) == 2


_STARTED = 77
_WITH_NOISE = f"""
import os, sys
from importlib.abc import MetaPathFinder

class Noisy(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"keras", "tensorflow"}}:
            os.write(2, b"a note on the processor")
            os._exit({_STARTED})

sys.meta_path.insert(0, Noisy())
from trainer.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("command", ["train", "quantize", "bundle", "compare", "cross-validate", "probe"])
def test_what_is_said_while_tensorflow_starts_is_held_back(command: str, inputs: Path, tmp_path: Path) -> None:
    # TensorFlow itself takes ten times as long.
    words = _words(command, inputs, tmp_path / "new")
    done = subprocess.run([sys.executable, "-c", _WITH_NOISE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == _STARTED, done.stderr
    assert done.stderr == ""


def test_a_full_output_is_one_error() -> None:
    with Path("/dev/full").open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "trainer.cli", "--help"],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error output_unwritable: ")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_terminal_without_unicode_gets_escapes(inputs: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(inputs / "data", tmp_path / "dåta"))
    done = subprocess.run(
        [sys.executable, "-m", "trainer.cli", "prepare", "--data", str(data), "--out", str(tmp_path / "split.csv")],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (KeyboardInterrupt(), 130),
        (MemoryError(), 2),
        (PermissionError(errno.EACCES, "Permission denied", "somewhere"), 2),
        (OSError(errno.ENOSPC, "No space left on device", "somewhere"), 2),
        (OSError(errno.EIO, "Input/output error"), 2),
    ],
    ids=["interrupted", "out of memory", "forbidden", "full disk", "broken disk"],
)
def test_what_the_system_refuses_is_one_error(
    raised: BaseException,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> NoReturn:
        raise raised

    monkeypatch.setattr("trainer.data.synthesis.synthesise", fail)
    assert _run(["synth", "--out", str(tmp_path / "new")]) == status
    shown = capsys.readouterr().err
    assert shown.startswith("error ") == (status == 2)
    assert "Traceback" not in shown


def test_names_that_are_not_utf_8_are_skipped_and_named(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(inputs / "data", tmp_path / "data"))
    image = next((data / "Pre").iterdir())
    Path(os.fsdecode(bytes(data / "Pre") + b"/caf\xe9.png")).write_bytes(image.read_bytes())
    assert _run(["prepare", "--data", str(data), "--out", str(tmp_path / "split.csv")]) == 0
    shown = capsys.readouterr().err
    assert "skipped Pre/caf\\udce9.png" in shown
    assert "not UTF-8" in shown
