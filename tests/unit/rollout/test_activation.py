from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import EdgeAgentError, ModelNoPrevious, ModelStoreError, StateEntryInvalid
from edge_agent.rollout import Activation, Choice
from edge_agent.rollout.activation import RollBackReason

CONFIGURED, A, B = Choice(bundle="accurate"), Choice(bundle="a@1.0.0"), Choice(bundle="b@1.0.0", head="c@1.0.0")


@pytest.fixture
def activation(tmp_path: Path) -> Activation:
    return Activation(tmp_path / "models")


def confirmed(activation: Activation, choice: Choice) -> None:
    activation.confirm(activation.activate(choice, CONFIGURED).id)


def test_nothing_is_active_and_no_folder_is_made_before_something_is_activated(
    activation: Activation, tmp_path: Path
) -> None:
    assert activation.read() is None
    assert activation.begin(CONFIGURED) is None
    assert activation.chosen(CONFIGURED) == CONFIGURED
    assert not list(tmp_path.iterdir())


def test_what_is_activated_is_on_trial_until_it_is_confirmed(activation: Activation) -> None:
    active = activation.activate(A, CONFIGURED)
    assert active.trial is not None
    assert active.previous == CONFIGURED
    assert activation.chosen(CONFIGURED) == A
    activation.confirm(active.id)
    found = activation.read()
    assert found is not None
    assert (found.chosen, found.previous, found.trial) == (A, CONFIGURED, None)


def test_a_change_is_a_new_file_so_that_a_reader_sees_the_old_or_the_new_one(activation: Activation) -> None:
    before = activation.activate(A, CONFIGURED)
    with activation._path.open("rb") as file:
        activation.activate(B, CONFIGURED)
        assert file.read() == before.to_json()


def test_what_is_on_trial_is_never_what_is_gone_back_to(activation: Activation) -> None:
    confirmed(activation, A)
    activation.activate(B, CONFIGURED)
    active = activation.activate(Choice(bundle="c@1.0.0"), CONFIGURED)
    assert active.previous == A


def test_going_back_by_hand_needs_no_trial(activation: Activation) -> None:
    confirmed(activation, A)
    activation.activate(B, CONFIGURED)
    assert activation.activate(A, CONFIGURED).trial is None
    assert activation.activate(CONFIGURED, CONFIGURED).trial is None


def test_activating_what_is_active_changes_nothing(activation: Activation) -> None:
    first = activation.activate(A, CONFIGURED)
    version = activation.version
    assert activation.activate(A, CONFIGURED).id == first.id
    assert activation.version == version


def test_a_run_that_did_not_end_in_order_goes_back(activation: Activation) -> None:
    activation.activate(A, CONFIGURED)
    started = activation.begin(CONFIGURED)
    assert started is not None
    assert started.chosen == A
    back = activation.begin(CONFIGURED)
    assert back is not None
    assert back.chosen == CONFIGURED
    assert back.rolled_back is not None
    assert (back.rolled_back.choice, back.rolled_back.reason) == (A, RollBackReason.CRASHED)
    assert activation.begin(CONFIGURED) == activation.read(), "and it is said once"


def test_a_crash_of_a_running_agent_that_was_told_to_switch_goes_back_too(activation: Activation) -> None:
    active = activation.activate(A, CONFIGURED)
    activation.started(active.id)
    back = activation.begin(CONFIGURED)
    assert back is not None
    assert back.chosen == CONFIGURED


def test_runs_that_end_in_order_add_up_to_the_trial(activation: Activation) -> None:
    active = activation.activate(A, CONFIGURED)
    for _ in range(3):
        started = activation.begin(CONFIGURED)
        assert started is not None
        assert started.chosen == A
        activation.end(active.id, failures_count=1, ran_s=60)
    found = activation.read()
    assert found is not None
    assert found.trial is not None
    assert (found.trial.ran_s, found.trial.failures_count, found.trial.starts_count) == (180, 1, 0)


def test_after_the_trial_a_crash_changes_nothing(activation: Activation) -> None:
    confirmed(activation, A)
    for _ in range(3):
        found = activation.begin(CONFIGURED)
        assert found is not None
        assert found.chosen == A


def test_a_trial_that_another_activation_replaced_can_be_neither_confirmed_nor_ended(activation: Activation) -> None:
    first = activation.activate(A, CONFIGURED)
    second = activation.activate(B, CONFIGURED)
    activation.confirm(first.id)
    activation.end(first.id, failures_count=9, ran_s=9)
    assert activation.read() == second


def test_a_failure_goes_back_to_what_was_before_and_then_to_the_configuration(activation: Activation) -> None:
    confirmed(activation, A)
    activation.activate(B, CONFIGURED)
    error = ModelStoreError("broken")
    back = activation.roll_back(CONFIGURED, RollBackReason.UNUSABLE, error)
    assert (back.chosen, back.previous, back.trial) == (A, None, None)
    assert back.rolled_back is not None
    assert (back.rolled_back.code, back.rolled_back.message) == ("model_store_failed", "broken")
    assert activation.roll_back(CONFIGURED, RollBackReason.UNUSABLE, error).chosen == CONFIGURED


def test_there_may_be_nothing_to_go_back_to(activation: Activation) -> None:
    with pytest.raises(ModelNoPrevious):
        activation.roll_back(CONFIGURED)
    activation.activate(A, CONFIGURED)
    activation.roll_back(CONFIGURED)
    with pytest.raises(ModelNoPrevious):
        activation.roll_back(CONFIGURED)


def test_another_configuration_is_a_newer_decision(activation: Activation) -> None:
    activation.activate(A, CONFIGURED)
    other = Choice(bundle="fast")
    assert activation.begin(other) is None
    assert activation.chosen(other) == other
    assert activation.activate(B, other).previous == other
    with_head = Choice(bundle="accurate", head="/heads/mine")
    assert activation.chosen(with_head) == with_head


def test_what_was_activated_does_not_come_back_with_an_earlier_configuration(activation: Activation) -> None:
    activation.activate(A, CONFIGURED)
    activation.forget_other(CONFIGURED)
    assert activation.chosen(CONFIGURED) == A
    activation.forget_other(Choice(bundle="fast"))
    assert activation.chosen(CONFIGURED) == CONFIGURED


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"\xff", b'{"schema": "leukoscope/active/v2"}', b"[" * 60_000, b" " * 70_000],
)
def test_a_file_that_cannot_be_read_is_said_once_and_put_aside(activation: Activation, content: bytes) -> None:
    activation.activate(A, CONFIGURED)
    file = activation._path
    file.write_bytes(content)
    with pytest.raises(StateEntryInvalid):
        activation.begin(CONFIGURED)
    assert activation.begin(CONFIGURED) is None
    assert file.with_name("active.json.damaged").read_bytes() == content
    assert activation.activate(B, CONFIGURED).chosen == B


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_in_the_file_it_is_read_or_one_error(activation: Activation, data: st.DataObject) -> None:
    document = json.loads(activation.activate(A, CONFIGURED).to_json())
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(
        st.none() | st.integers() | st.text(max_size=8) | st.dictionaries(st.text(max_size=8), st.text(max_size=8))
    )
    activation._path.write_text(json.dumps(document))
    try:
        activation.begin(CONFIGURED)
    except StateEntryInvalid:
        assert activation.begin(CONFIGURED) is None


@pytest.mark.parametrize("step", ["activate", "begin", "confirm", "roll_back"])
def test_a_folder_that_cannot_be_written_is_one_error_and_nothing_changes(
    activation: Activation, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    active = activation.activate(A, CONFIGURED)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    steps: dict[str, Callable[[], object]] = {
        "activate": lambda: activation.activate(B, CONFIGURED),
        "begin": lambda: activation.begin(CONFIGURED),
        "confirm": lambda: activation.confirm(active.id),
        "roll_back": lambda: activation.roll_back(CONFIGURED),
    }
    with pytest.raises(EdgeAgentError, match="Input/output error"):
        steps[step]()
    assert activation.read() == active
    assert [path.name for path in activation._path.parent.iterdir()] == ["active.json"]
