"""``edge-agent spool`` gives one clear error or everything readable, whatever the file, folder and output are."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.cli.app import app
from edge_agent.cli.terminal import EXIT_FAILED, print_error
from edge_agent.errors import EdgeAgentError
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from edge_agent.spool.place import FILE
from tests.mqtt import PATIENCE_S

AGENT = shlex.join([sys.executable, "-m", "edge_agent.cli", "spool"])
LIMITS = SpoolLimits(max_bytes=2**24, max_age_s=3600, commit_delay_s=0)
EXIT_DONE = 0
TOPIC = "leukoscope/v1/site/device/event"


def fill(folder: Path, *payloads: bytes) -> None:
    spool = SqliteSpool(folder, LIMITS)
    for payload in payloads:
        spool.append(Message(uuid7(), TOPIC, payload))
    spool.close()


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``agent`` is ``edge-agent spool``; its exit code is the agent's."""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; agent() {{ {AGENT} "$@"; }}; {line}'],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run ``edge-agent spool`` in this process: many times as fast as a process for each call."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capsys.readouterr()
        try:
            status = app(["spool", *arguments], standalone_mode=False) or EXIT_DONE
        except EdgeAgentError as error:
            print_error(error)
            status = EXIT_FAILED
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


NOT_JSON = {
    "not UTF-8": b"\xff\xfe",
    "half": b'{"a": 1',
    "empty": b"",
    "deep": b"[" * 10_000,
    "a long number": b"1" * 10_000,
    "no finite number": b'{"a": 1e999}',
    "half a character": b'{"a": "\\ud800"}',
}


@pytest.mark.parametrize("kind", NOT_JSON)
def test_a_payload_that_is_not_json_is_exported_as_base64_with_a_note(
    agent: Callable[..., Done], state_folder: Path, kind: str
) -> None:
    fill(state_folder, b'{"a":1}', NOT_JSON[kind], b'{"b":2}')
    done = agent("export")
    first, damaged, last = lines(done.stdout)
    assert (first["payload"], last["payload"]) == ({"a": 1}, {"b": 2})
    assert base64.b64decode(str(damaged["payload_base64"])) == NOT_JSON[kind]
    assert damaged["note"]
    assert done.returncode == 3
    assert "1 of them are damaged" in done.stderr


def test_a_row_that_is_no_message_is_exported_with_a_note(state_folder: Path) -> None:
    fill(state_folder, b'{"a":1}', b'{"b":2}')
    with closing(sqlite3.connect(state_folder / FILE)) as connection, connection:
        connection.execute("UPDATE messages SET id = x'00', topic = CAST(x'ff80' AS TEXT) WHERE number = 1")
    done = shell("agent export", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    damaged, whole = lines(done.stdout)
    assert damaged["payload"] == {"a": 1}
    assert damaged["note"]
    assert whole == {"topic": TOPIC, "payload": {"b": 2}}
    assert done.returncode == 3


def test_quarantined_messages_are_shown_and_exported_with_code_and_reason(
    agent: Callable[..., Done], state_folder: Path
) -> None:
    spool = SqliteSpool(state_folder, LIMITS)
    message = Message(uuid7(), TOPIC, b'{"a":1}')
    spool.append(message)
    spool.append(Message(uuid7(), TOPIC, b'{"b":2}'))
    assert spool.flush(PATIENCE_S)
    assert spool.take(live=True) == message
    spool.quarantine(message.id, "broker_refused", "not authorized")
    spool.close()
    assert lines(agent("export").stdout) == [{"topic": TOPIC, "payload": {"b": 2}}]
    done = agent("export", "--quarantined")
    assert lines(done.stdout) == [
        {
            "id": str(message.id),
            "code": "broker_refused",
            "reason": "not authorized",
            "topic": TOPIC,
            "payload": {"a": 1},
        }
    ]
    assert done.returncode == 0
    status = json.loads(agent("status", "--json").stdout)
    assert (status["quarantined_count"], status["waiting_count"]) == (1, 1)
    assert "quarantined_count   1" in agent("status").stdout
    agent("purge", "--yes")
    assert lines(agent("export").stdout) == []
    assert len(lines(agent("export", "--quarantined").stdout)) == 1


def test_a_file_of_an_older_agent_has_no_quarantine(agent: Callable[..., Done], state_folder: Path) -> None:
    fill(state_folder, b"{}")
    with closing(sqlite3.connect(state_folder / FILE)) as connection, connection:
        connection.executescript("DROP TABLE quarantine; DELETE FROM counters WHERE name = 'quarantined';")
    assert agent("export", "--quarantined").returncode == 0
    assert json.loads(agent("status", "--json").stdout)["quarantined_count"] == 0


def test_a_damaged_file_is_exported_as_far_as_it_goes(agent: Callable[..., Done], state_folder: Path) -> None:
    fill(state_folder, *[b'{"a":"' + b"x" * 2000 + b'"}' for _ in range(50)])
    path = state_folder / FILE
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    done = agent("export")
    assert len(lines(done.stdout)) > 10
    assert done.returncode == 3
    assert "damaged" in done.stderr


def test_whoever_reads_the_output_may_stop(state_folder: Path) -> None:
    fill(state_folder, *[b'{"a":"' + b"x" * 2000 + b'"}' for _ in range(500)])
    done = shell("agent export | head -1")
    assert len(lines(done.stdout)) == 1
    assert "error" not in done.stderr
    for command in ("status", "status --json", "purge --yes"):
        assert "error" not in shell(f"agent {command} | true").stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("export > /dev/full", "output_unwritable"),
        ("export >&-", "output_unwritable"),
        ("export --out /dev/full", "config_invalid"),
        ("export --out /nowhere/at/all", "config_invalid"),
        ("export --out .", "config_invalid"),
        ("export --out {folder}/loop", "config_invalid"),
        ("export --out {folder}/spool.db", "config_invalid"),
        ("export --out {folder}/spool.db-wal", "config_invalid"),
        ("status > /dev/full", "output_unwritable"),
        ("status >&-", "output_unwritable"),
        ("status --json > /dev/full", "output_unwritable"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_error(
    agent: Callable[..., Done], state_folder: Path, command: str, code: str
) -> None:
    fill(state_folder, b'{"a":1}')
    (state_folder / "loop").symlink_to("loop")
    done = shell(f"agent {command.format(folder=shlex.quote(str(state_folder)))}")
    assert done.returncode == (2 if code == "config_invalid" else 1)
    assert done.stderr.count("error ") == 1
    assert code in done.stderr
    # Nothing has happened to it.
    assert lines(agent("export").stdout) == [{"topic": TOPIC, "payload": {"a": 1}}]


def no_folder(_folder: Path) -> None:
    pass


def empty_folder(folder: Path) -> None:
    folder.mkdir()


def folder_as_file(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath(FILE).mkdir()


def text_as_file(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath(FILE).write_text("not a database\n" * 1000)


def empty_file(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath(FILE).touch()


def pipe_as_file(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / FILE)


def link_as_file(folder: Path) -> None:
    folder.mkdir()
    folder.joinpath(FILE).symlink_to(FILE)


def other_program(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.execute("CREATE TABLE letters (body TEXT)")


def file_as_folder(folder: Path) -> None:
    folder.write_text("?")


@pytest.mark.parametrize(
    "make",
    [
        no_folder,
        empty_folder,
        folder_as_file,
        text_as_file,
        empty_file,
        pipe_as_file,
        link_as_file,
        other_program,
        file_as_folder,
    ],
)
def test_what_is_no_spool_is_one_error_and_left_alone(
    agent: Callable[..., Done], state_folder: Path, make: Callable[[Path], None]
) -> None:
    make(state_folder)
    before = sorted(state_folder.rglob("*"))
    path = str(state_folder / FILE)
    for command in (
        ["status"],
        ["export"],
        ["export", "--quarantined"],
        ["export", "--file", path],
        ["purge", "--yes"],
        ["purge"],
    ):
        done = agent(*command)
        assert done.returncode == 1, command
        assert done.stderr.count("error spool_failed") == 1, (command, done.stderr)
        assert done.stdout == "", command
    assert sorted(state_folder.rglob("*")) == before


def test_a_tilde_is_the_home_folder(tmp_path: Path) -> None:
    fill(tmp_path / "backup", b'{"a":1}')
    done = shell("agent export --file='~/backup/spool.db' --out='~/export.jsonl'", HOME=str(tmp_path))
    assert done.returncode == 0
    assert lines((tmp_path / "export.jsonl").read_text()) == [{"topic": TOPIC, "payload": {"a": 1}}]


def test_a_spool_without_its_folders_permission_can_be_read_or_is_one_error(state_folder: Path, tmp_path: Path) -> None:
    """As another account. Root, who runs tests at times, may read anything; so a user namespace is asked for."""
    fill(state_folder, b'{"a":1}')
    drop = "setpriv --reuid=65534 --regid=65534 --clear-groups --" if os.geteuid() == 0 else ""
    state_folder.joinpath(FILE).chmod(0)
    code = "import os; from edge_agent.cli.app import main; main()"
    done = subprocess.run(
        [*shlex.split(drop), sys.executable, "-c", code, "spool", "status"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=tmp_path,
    )
    if "error" not in done.stderr:
        pytest.skip(f"another account cannot start Python here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 1
    assert done.stderr.count("error spool_failed") == 1
    assert "sudo -u leukoscope" in done.stderr
