from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.fallback import UNANSWERED_MAX, Fallback, VersionChoice


def attempts(choice: VersionChoice, broker: Callable[[bool], str], limit: int = 50) -> tuple[bool, int]:
    """Connect as the publisher would; returns the version in use at the end, and the number of attempts."""
    for number in range(1, limit):
        match broker(choice.is_5):
            case "silent":
                choice.unanswered()
            case "refused":
                choice.refused()
            case "accepted":
                if choice.accepted():
                    return choice.is_5, number
    raise AssertionError("never connected")


def test_a_broker_that_hangs_up_while_it_starts_is_spoken_to_in_5() -> None:
    for silences in range(20):
        answers = iter(["silent"] * silences)
        assert attempts(VersionChoice("auto"), lambda _is_5: next(answers, "accepted"))[0]  # noqa: B023 - used at once


def test_a_broker_that_is_silent_to_5_is_spoken_to_in_3_1_1_and_asked_for_5_again_each_time() -> None:
    choice = VersionChoice("auto")
    asked: list[bool] = []

    def old(is_5: bool) -> str:
        asked.append(is_5)
        return "silent" if is_5 else "accepted"

    assert attempts(choice, old) == (False, UNANSWERED_MAX + 3)
    choice.ended()
    asked.clear()
    assert attempts(choice, old) == (False, 2)
    assert asked == [True, False]
    choice.ended()
    assert attempts(choice, lambda _is_5: "accepted") == (True, 1)


def test_a_broker_that_refuses_5_is_spoken_to_in_3_1_1_at_once_and_asked_for_5_next_time() -> None:
    choice = VersionChoice("auto")
    assert attempts(choice, lambda is_5: "refused" if is_5 else "accepted") == (False, 2)
    choice.ended()
    assert choice.is_5


def test_a_configured_version_is_kept_whatever_happens() -> None:
    for version, is_5 in (("5", True), ("3.1.1", False)):
        choice = VersionChoice(version)  # type: ignore[arg-type]  # a literal
        for _ in range(10):
            choice.unanswered()
            assert not choice.refused()
            assert choice.is_5 is is_5
            assert choice.accepted()


@given(st.lists(st.sampled_from(["unanswered", "accepted", "ended"]), max_size=30))
def test_what_is_wanted_is_never_given_up_for_good(happened: list[str]) -> None:
    fallback = Fallback()
    for each in happened:
        getattr(fallback, each)()
    fallback.ended()
    assert fallback.wanted
    assert fallback.accepted()
