"""The agent starts and takes commands whatever another version or a power cut has left in the state folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import AnswerState, EventKind
from edge_agent.events.audit_verify import verify_audit
from edge_agent.spool import SpoolLimits, SqliteSpool
from tests.agents import configuration, serving
from tests.mqtt import PATIENCE_S, Requester, Subscriber

LIMITS = SpoolLimits(max_bytes=2**30, max_age_s=3600, commit_delay_s=0)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(b"\xff\xfe\x00 binary"),
        lambda path: path.write_bytes(b"x" * 3_000_000),
        lambda path: path.write_text("0" * 64 + ' {"kind":"started"}\n'),
    ],
    ids=["folder", "fifo", "link to itself", "device", "binary", "huge line", "wrong chain"],
)
def test_an_agent_starts_whatever_lies_in_the_audit_logs_place(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, requester: Requester, spoil: Callable[[Path], object]
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    spoil(folder / "audit.log")
    with serving(configuration(broker_port, state={"folder": str(folder)}), requester):
        events = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in events if each.kind == EventKind.AUDIT_SET_ASIDE)
        assert event.code == "audit_broken"
        assert os.path.lexists(folder / event.details["file"])
        # Commands are recorded there as well.
        for _ in range(2):
            assert requester.ask("get-config").state is AnswerState.DONE
        # The health is retained; messages that came before it were skipped.
        late = Subscriber(broker_port)
        (check,) = [check for check in late.next("health").body().checks if check.name == "audit"]
        assert check.code == "audit_broken"
        late.close()
    assert verify_audit(folder / "audit.log").entries_count >= 4


def test_an_agent_goes_on_when_its_audit_log_can_no_longer_be_written(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    with serving(configuration(broker_port, state={"folder": str(folder)}), requester):

        def fail(*_: object) -> int:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("edge_agent.events.audit_log._write_whole", fail)
            for _ in range(2):
                assert requester.ask("get-config").state is AnswerState.DONE
            healths = iter(lambda: subscriber.next("health").body(), None)
            next(check for health in healths for check in health.checks if check.code == "audit_unwritable")
        assert requester.ask("get-config").state is AnswerState.DONE
    assert verify_audit(folder / "audit.log").set_aside == ()


def test_an_agent_starts_with_state_entries_that_it_cannot_read(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, requester: Requester
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    spool = SqliteSpool(folder, LIMITS)
    answer = b'{"digest":"x","answer":{"schema":"leukoscope/answer/v9","surprise":1}}'
    rubbish = (b"", b"\xff\xfe", b"[]", answer)
    spool.write_state_entries(
        {
            "told_drops": b"a newer release",
            "specimen": b'{"schema":"leukoscope/tally/v9"}',
            **{f"command/{uuid7()}": each for each in rubbish},
        }
    )
    assert spool.flush(PATIENCE_S)
    spool.close()
    with serving(configuration(broker_port, state={"folder": str(folder)}), requester):
        events = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in events if each.kind == EventKind.STATE_IGNORED and "command" in each.message)
        assert event.details["entries_count"] == len(rubbish)
        assert requester.ask("get-config").state is AnswerState.DONE
        subscriber.next("result")
