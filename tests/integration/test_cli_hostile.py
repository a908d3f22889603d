"""Every command in every situation that a user can bring about: no traceback, one clear error, a documented status."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.cli.local_broker import free_port
from tests.folders import let_others_in
from tests.mqtt import PATIENCE_S

AGENT = [sys.executable, "-m", "edge_agent.cli"]
STATUSES = {0, 1, 2, 3, 130}
NOBODY = 65534

Arguments = list[str | bytes]


@pytest.fixture
def workplace(tmp_path: Path, smear: NDArray[np.uint8]) -> Path:
    """A folder with everything that commands need: a configuration and a picture."""
    Image.fromarray(smear).save(tmp_path / "field.png")
    (tmp_path / "agent.toml").write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "folder"\npath = "{tmp_path}/field.png"\n'
        f'[analysis]\nbundle = "demo"\n[mqtt]\nport = {free_port()}\n[state]\nfolder = "{tmp_path}/state"\n'
    )
    (tmp_path / "unstartable.toml").write_text(
        (tmp_path / "agent.toml").read_text().replace('bundle = "demo"', 'bundle = "absent"')
    )
    return tmp_path


COMMANDS: dict[str, Callable[[Path], Arguments]] = {
    "help": lambda _folder: ["--help"],
    "version": lambda _folder: ["--version"],
    "nothing": lambda _folder: [],
    "misspelt": lambda _folder: ["clasify"],
    "run": lambda folder: ["run", "--config", str(folder / "unstartable.toml")],
    "demo": lambda _folder: ["demo", "--count", "1", "--broker", f"127.0.0.1:{free_port()}"],
    "classify": lambda folder: ["classify", str(folder / "field.png"), "--bundle", "demo"],
    "classify table": lambda folder: [
        "classify", str(folder / "field.png"), "--bundle", "demo", "--format", "table",
    ],
    "setup": lambda folder: ["setup", "--config", str(folder / "agent.toml"), "--no-doctor"],
    "check-config": lambda folder: ["check-config", str(folder / "agent.toml")],
    "doctor": lambda folder: ["doctor", "--config", str(folder / "agent.toml")],
    "doctor json": lambda folder: ["doctor", "--config", str(folder / "agent.toml"), "--json"],
    "schema": lambda folder: ["schema", "--out", str(folder / "contract")],
    "spool status": lambda folder: ["spool", "status", "--config", str(folder / "agent.toml")],
    "spool export": lambda folder: ["spool", "export", "--config", str(folder / "agent.toml")],
    "spool purge": lambda folder: ["spool", "purge", "--yes", "--config", str(folder / "agent.toml")],
    "audit verify": lambda folder: ["audit", "verify", "--config", str(folder / "agent.toml")],
}  # fmt: skip

SILENT = {"run", "demo", "setup", "misspelt", "nothing", "spool status", "spool export", "spool purge", "audit verify"}
"""These write nothing to standard output here, or fail for another reason as well."""


def judge(status: int, said: str, *, output: str = "") -> None:
    """Check what holds for every command in every situation."""
    for unwanted in ("Traceback", "Exception ignored", "INFO:", "Warning:", "lost sys.std"):
        assert unwanted not in said + output, said + output
    assert status in STATUSES, said
    assert len(re.findall(r"^error [a-z_]+: ", said, flags=re.MULTILINE)) <= 1, said


def through_shell(arguments: Arguments, redirection: str, *, typed: str = "\n" * 40) -> tuple[int, str, str]:
    """Run with streams as a shell opens or closes them. Their output is caught in files if possible."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", *AGENT, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_one_error(workplace: Path, command: str, redirection: str) -> None:
    status, _, said = through_shell(COMMANDS[command](workplace), redirection)
    judge(status, said)
    if command not in SILENT:
        assert "error output_unwritable: Standard output cannot be written: " in said
        assert status == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirection", ["2>/dev/full", ">&- 2>&- <&-", "| head -c 1", "2>&1 | true"])
def test_streams_that_are_closed_or_full_or_broken_off_are_survived(
    workplace: Path, command: str, redirection: str
) -> None:
    status, output, said = through_shell(COMMANDS[command](workplace), redirection)
    judge(status, said, output=output)


@pytest.mark.parametrize("command", COMMANDS)
def test_terminals_that_know_only_ascii_get_only_that(workplace: Path, command: str) -> None:
    done = subprocess.run(
        [*AGENT, *COMMANDS[command](workplace)],
        input=b"\xe4\n" + b"\n" * 40,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        env={
            **os.environ,
            "PYTHONIOENCODING": "ascii",
            "LC_ALL": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "TERM": "dumb",
            "COLUMNS": "80",
        },
    )
    said = done.stderr.decode("ascii")
    output = done.stdout.decode("ascii")
    judge(done.returncode, said, output=output)
    if command in {"help", "classify table"}:
        assert all(len(line) <= 80 for line in output.splitlines()), output


@pytest.mark.parametrize("command", ["doctor", "demo", "setup", "spool status", "audit verify", "run"])
@pytest.mark.parametrize("home", ["none", "read-only"])
def test_a_home_that_cannot_be_used_is_no_traceback(workplace: Path, command: str, home: str) -> None:
    folder = workplace / "home"
    folder.mkdir(mode=0o500)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOME", "XDG_", "STATE_"))}
    if home != "none":
        environment["HOME"] = str(folder)
    text = (workplace / "agent.toml").read_text()
    (workplace / "agent.toml").write_text(text.partition("[state]")[0])
    done = as_nobody(COMMANDS[command](workplace), environment)
    judge(done.returncode, done.stderr, output=done.stdout)


def as_nobody(arguments: Arguments, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run as a user without any rights, or as the current user unless that is root.

    Everything is imported before, because that user may not be able to read the interpreter.
    """
    prelude = (
        "import contextlib, importlib, io, os, pkgutil, edge_agent.cli.app, edge_agent.inference\n"
        "for each in pkgutil.iter_modules(edge_agent.cli.__path__):\n"
        "    each.name == '__main__' or importlib.import_module('edge_agent.cli.' + each.name)\n"
        "import ai_edge_litert.interpreter, encodings.cp437, encodings.idna, importlib.readers, typer.rich_utils\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    edge_agent.cli.app.app(['--help'], standalone_mode=False)\n"
        "edge_agent.inference.shipped_bundles()\n"
        f"if os.geteuid() == 0: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "edge_agent.cli.app.main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", prelude, *arguments],
        input="\n" * 40,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_permission_is_no_traceback(workplace: Path, command: str) -> None:
    state = workplace / "state"
    state.mkdir(mode=0o700)
    (state / "spool.db").touch(mode=0o600)
    (state / "audit.log").touch(mode=0o600)
    (workplace / "agent.toml").chmod(0o644)
    with contextlib.suppress(PermissionError):
        let_others_in(workplace)
    if os.geteuid() != 0:
        state.chmod(0)
    done = as_nobody(COMMANDS[command](workplace), dict(os.environ))
    state.chmod(0o700)
    judge(done.returncode, done.stderr, output=done.stdout)


PLACES: dict[str, Callable[[str], Arguments]] = {
    "run": lambda path: ["run", "--config", path],
    "check-config": lambda path: ["check-config", path],
    "doctor": lambda path: ["doctor", "--config", path],
    "setup": lambda path: ["setup", "--no-doctor", "--config", path],
    "spool status": lambda path: ["spool", "status", "--config", path],
    "spool export": lambda path: ["spool", "export", "--file", path],
    "audit verify": lambda path: ["audit", "verify", "--file", path],
    "classify": lambda path: ["classify", "--bundle", "demo", path],
    "classify bundle": lambda path: ["classify", "--bundle", path, "field.png"],
    "demo": lambda path: ["demo", "--count", "1", "--broker", f"127.0.0.1:{free_port()}", "--frames", path],
    "schema": lambda path: ["schema", "--out", path],
}


KINDS = ("missing", "folder", "pipe", "binary", "not UTF-8")


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        *((place, kind) for place in PLACES for kind in KINDS),
        *((place, kind) for place in ("check-config", "setup") for kind in ("loop", "too long", "home")),
    ],
)
def test_whatever_is_given_for_a_file_is_one_error_at_most(workplace: Path, place: str, kind: str) -> None:
    name = "given\udcff" if kind == "not UTF-8" else "given"
    given = workplace / name
    match kind:
        case "folder":
            given.mkdir()
        case "pipe":
            os.mkfifo(given)
        case "binary" | "not UTF-8":
            given.write_bytes(bytes(range(256)))
        case "loop":
            given.symlink_to(given)
    argument = {"too long": "x" * 5000, "home": "~nobody-has-this-name/file"}.get(kind, str(given))
    done = subprocess.run(
        [*AGENT, *PLACES[place](argument)],
        input="\n" * 40,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
        cwd=workplace,
    )
    judge(done.returncode, done.stderr, output=done.stdout)
    if done.returncode != 0:
        assert done.stderr.strip(), "it failed without a word"


@contextlib.contextmanager
def started(arguments: Arguments) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*AGENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=PATIENCE_S)
    judge(process.returncode, said, output=output)
    return process.returncode, said


def test_an_interrupt_at_a_question_changes_nothing(workplace: Path) -> None:
    before = (workplace / "agent.toml").read_bytes()
    with started(COMMANDS["setup"](workplace)) as process:
        assert process.stdout is not None
        seen = ""
        while "[clinic]:" not in seen:
            seen += process.stdout.read(1)
        assert interrupt(process)[0] == 130
    assert (workplace / "agent.toml").read_bytes() == before


def test_an_interrupt_while_a_broker_is_silent_ends_doctor(workplace: Path) -> None:
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        broker.listen()
        text = (workplace / "agent.toml").read_text()
        port = broker.getsockname()[1]
        (workplace / "agent.toml").write_text(re.sub(r"port = \d+", f"port = {port}", text))
        with started(COMMANDS["doctor"](workplace)) as process:
            broker.settimeout(PATIENCE_S)
            connection, _ = broker.accept()
            with connection:
                assert interrupt(process)[0] == 130


def test_an_interrupt_stops_the_agent_and_the_demonstration(workplace: Path, broker_port: int) -> None:
    with started(["demo", "--broker", f"127.0.0.1:{broker_port}"]) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("#"):
            pass
        assert interrupt(process)[0] == 0
    with started(["run", "--config", str(workplace / "agent.toml")]) as process:
        assert process.stderr is not None
        while "INFO" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in {0, 130}
        assert "Traceback" not in said


def test_questions_that_nobody_answers_are_one_error(workplace: Path) -> None:
    before = (workplace / "agent.toml").read_bytes()
    status, _, said = through_shell(COMMANDS["setup"](workplace), "<&-")
    judge(status, said)
    assert status == 1
    assert "error input_ended: " in said
    assert (workplace / "agent.toml").read_bytes() == before


def test_both_ways_of_calling_the_module_are_the_program(workplace: Path) -> None:
    for module in ("edge_agent", "edge_agent.cli"):
        done = subprocess.run(
            [sys.executable, "-m", module, "check-config", str(workplace / "agent.toml")],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("way", [{"NO_COLOR": "1"}, {}])
def test_no_colours_where_none_are_wanted(workplace: Path, way: dict[str, str]) -> None:
    done = subprocess.run(
        [*AGENT, *([] if way else ["--no-color"]), "check-config", str(workplace / "unstartable.toml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", **way},
    )
    assert done.returncode == 2
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", done.stderr), repr(done.stderr)
