from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from edge_agent.client import Gap, ResultSequence
from edge_agent.client.sequence import MAX_HELD_COUNT, SeqRanges
from edge_agent.contracts import Result
from tests.results import any_result

WAIT_S = 1.0
ANY = any_result()


def result(session: UUID, seq: int) -> Result:
    return ANY.model_copy(update={"session": session, "seq": seq})


def sequence() -> ResultSequence:
    return ResultSequence("clinic-a", "scope-1", wait_s=WAIT_S)


def numbers(results: list[Result]) -> list[int]:
    return [each.seq for each in results]


def test_a_result_that_overtook_another_waits_for_it() -> None:
    session, found = uuid7(), sequence()
    assert numbers(found.add(result(session, 0), 0.0)) == [0]
    assert found.add(result(session, 2), 0.1) == []
    assert numbers(found.add(result(session, 1), 0.2)) == [1, 2]
    assert not found.gaps


def test_what_does_not_come_in_time_leaves_a_gap_and_closes_it_when_it_comes_late() -> None:
    session, found = uuid7(), sequence()
    found.add(result(session, 0), 0.0)
    found.add(result(session, 4), 0.0)
    assert found.release(0.9) == []
    assert numbers(found.release(1.0)) == [4]
    assert found.gaps == (Gap("clinic-a", "scope-1", session, 1, 3),)
    assert found.gaps[0].missing_count == 3
    assert numbers(found.add(result(session, 2), 2.0)) == [2]
    assert [(gap.first_seq, gap.last_seq) for gap in found.gaps] == [(1, 1), (3, 3)]
    assert numbers([*found.add(result(session, 1), 2.0), *found.add(result(session, 3), 2.0)]) == [1, 3]
    assert not found.gaps


def test_a_repeat_is_passed_on_once_whether_it_waits_or_not() -> None:
    session, found = uuid7(), sequence()
    assert numbers(found.add(result(session, 7), 0.0)) == [7]
    assert found.add(result(session, 7), 0.0) == []
    assert found.add(result(session, 9), 0.0) == []
    assert found.add(result(session, 9), 5.0) == []
    assert numbers(found.release(1.0)) == [9]
    assert found.add(result(session, 9), 6.0) == []


def test_a_new_run_of_the_agent_begins_anew_and_the_backlog_of_the_former_still_comes() -> None:
    former, current, found = uuid7(), uuid7(), sequence()
    found.add(result(former, 0), 0.0)
    assert numbers(found.add(result(current, 0), 0.0)) == [0]
    assert numbers(found.add(result(former, 1), 0.0)) == [1]
    assert numbers(found.add(result(current, 1), 0.0)) == [1]


def test_no_more_than_a_bounded_number_waits() -> None:
    session, found = uuid7(), sequence()
    found.add(result(session, 0), 0.0)
    passed = [each for seq in range(2, 2 + 2 * MAX_HELD_COUNT, 2) for each in found.add(result(session, seq), 0.0)]
    assert passed == []
    assert numbers(found.add(result(session, 5000), 0.0)) == [2]


@given(st.data())
def test_every_result_is_passed_on_exactly_once_and_in_order_unless_it_was_late(data: st.DataObject) -> None:
    """Any number of runs, arrivals in any order, with repeats, losses and pauses."""
    sessions = [UUID(int=each) for each in range(1, data.draw(st.integers(1, 3)) + 1)]
    sent = [(session, seq) for session in sessions for seq in range(data.draw(st.integers(1, 8)))]
    lost = data.draw(st.sets(st.sampled_from(sent)))
    arriving = [each for each in sent if each not in lost]
    arrivals = data.draw(st.permutations(arriving + data.draw(st.lists(st.sampled_from(sent), max_size=6))))
    found, now_s, passed, held_until = sequence(), 0.0, [], []
    for session, seq in arrivals:
        now_s += data.draw(st.sampled_from([0.0, 0.4, 1.5]))
        passed += found.release(now_s)
        passed += found.add(result(session, seq), now_s)
        held_until.append(now_s + WAIT_S)
    passed += found.release(max(held_until, default=0.0))
    assert sorted((each.session, each.seq) for each in passed) == sorted(set(arrivals))
    for session in sessions:
        came = {seq for each, seq in arrivals if each == session}
        missing = set(range(min(came), max(came))) - came if came else set()
        gaps = {seq for gap in found.gaps if gap.session == session for seq in range(gap.first_seq, gap.last_seq + 1)}
        assert gaps == missing


@given(st.lists(st.integers(0, 30), max_size=40))
def test_ranges_are_the_set_that_they_stand_for(added: list[int]) -> None:
    ranges, expected = SeqRanges(), set[int]()
    for number in added:
        assert ranges.add(number) == (number not in expected)
        expected.add(number)
    assert {number for number in range(32) if number in ranges} == expected
    missing = {number for first, last in ranges.gaps() for number in range(first, last + 1)}
    assert missing == (set(range(min(expected), max(expected))) - expected if expected else set())
    assert len(ranges.firsts) == len(list(ranges.gaps())) + bool(expected)
