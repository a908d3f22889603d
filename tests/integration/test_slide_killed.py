"""A slide is read, the process is killed in the middle, and nothing of the slide is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from PIL import Image

from edge_agent.contracts import Answer, AnswerState, Report, Result, StatusState
from edge_agent.specimens.archive import PREFIX
from edge_agent.specimens.tracker import FIELD_PREFIX, STATE_KEY
from edge_agent.spool.offline import read_entries
from edge_agent.spool.place import FILE
from tests.mqtt import PATIENCE_S, Requester, Subscriber
from tests.slides import draw_slide, look_at

SPECIMEN = "S-7K3F-92QX"


@pytest.fixture
def config(tmp_path: Path, broker_port: int) -> Path:
    """An agent that reads a picture of its folder on each request, the first one again after the last."""
    frames = tmp_path / "frames"
    frames.mkdir()
    # The third visit shows the first field again, slightly shifted.
    for number, (seed, down) in enumerate([(1, 0), (2, 0), (1, 40), (3, 0)]):
        Image.fromarray(look_at(draw_slide(seed), down, seed=number)).save(frames / f"{number}.png")
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "folder"\npath = "{frames}"\nloop = true\n'
        f'[trigger]\nmode = "triggered"\n[analysis]\nbundle = "demo"\n[mqtt]\nport = {broker_port}\n'
        # Pictures of a folder follow each other immediately, as if the stage were moving.
        "[quality]\nmax_motion_pct = 100\n"
    )
    return file


@contextmanager
def killed_at_the_end(config: Path, subscriber: Subscriber, *, after: UUID | None = None) -> Iterator[UUID]:
    """Run the agent as a process, from when it is ready until SIGKILL; yields its session, which is not ``after``."""
    process = subprocess.Popen([sys.executable, "-m", "edge_agent", "run", "--config", str(config)])
    try:
        # The process before may have reported 'ready' more than once.
        while (status := subscriber.next("status").body()).state is not StatusState.READY or status.session == after:
            pass
        yield status.session
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def ask(requester: Requester, command: str, **values: object) -> Answer:
    answer = requester.ask(command, {"id": str(uuid4()), **values})
    assert answer.state is AnswerState.DONE, answer
    return answer


def read(requester: Requester, subscriber: Subscriber) -> Result:
    """Read a field. Whatever the broker has is also on the device's disk, whenever the power fails."""
    asked = ask(requester, "capture").data["result"]
    while True:
        result = subscriber.next("result").body()
        assert isinstance(result, Result)
        if str(result.id) == asked:
            return result


def test_a_slide_that_was_killed_in_the_middle_is_finished_with_all_its_fields(
    config: Path, state_folder: Path, requester: Requester, subscriber: Subscriber
) -> None:
    made = []
    with killed_at_the_end(config, subscriber) as first:
        ask(requester, "set-specimen", specimen=SPECIMEN, slide=2, fields_count=3)
        made += [read(requester, subscriber) for _ in range(2)]
    entries = read_entries(state_folder / FILE)
    assert json.loads(entries[STATE_KEY])["readings_count"] == 2
    judged = [each for each in made if each.outcome in {"classified", "abstained"}]
    assert len([key for key in entries if key.startswith(FIELD_PREFIX)]) == len(judged) == 2

    # A restart reads the folder from its beginning: two fields again, the first one once more, and a new one.
    with killed_at_the_end(config, subscriber, after=first):
        made += [read(requester, subscriber) for _ in range(4)]
        answer = ask(requester, "finish-specimen")
        report = subscriber.next("report").body()
        assert isinstance(report, Report)
        assert answer.data["report"] == str(report.id)

    places = [(each.specimen.field, each.specimen.repeats_field) for each in made if each.specimen is not None]
    assert places == [(1, None), (2, None), (3, 1), (4, 2), (5, 1), (6, None)]
    assert (report.readings_count, report.judged_count, report.repeated_count) == (6, 3, 3)
    assert report.wished_fields_count == 3
    assert report.demonstration
    counted = [each for each in made if each.specimen is not None and each.specimen.repeats_field is None]
    assert sum(report.outcomes_count.values()) == len(counted) == 3
    assert sum(share.fields_count for share in report.labels) == sum(each.label is not None for each in counted)

    # The kept report is the one that was sent, and the slide is closed, although the process was killed again.
    entries = read_entries(state_folder / FILE)
    assert [key for key in entries if key.startswith((PREFIX, FIELD_PREFIX, STATE_KEY))] == [f"{PREFIX}{report.id}"]
    assert Report.model_validate_json(entries[f"{PREFIX}{report.id}"]) == report.model_copy(update={"replayed": False})
    listed = subprocess.run(
        [sys.executable, "-m", "edge_agent", "report", str(report.id), "--config", str(config)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Report.model_validate_json(listed.stdout).statement == report.statement
