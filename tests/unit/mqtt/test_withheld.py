from __future__ import annotations

from edge_agent.mqtt.withheld import Withheld


def test_what_is_withheld_for_good_is_not_released() -> None:
    withheld = Withheld()
    assert not withheld.add("topic", provisional=False)
    assert withheld.release() == set()
    assert "topic" in withheld


def test_what_is_withheld_provisionally_has_one_more_chance_and_no_second() -> None:
    withheld = Withheld()
    assert withheld.add("topic", provisional=True)
    assert "topic" in withheld
    assert withheld.release() == {"topic"}
    assert "topic" not in withheld
    assert not withheld.add("topic", provisional=True)
    assert withheld.release() == set()
    assert "topic" in withheld
