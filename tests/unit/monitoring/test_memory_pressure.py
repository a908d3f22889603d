from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.monitoring import memory_pressure
from edge_agent.monitoring.memory_pressure import memory_kills_count, memory_pressure_pct

PRESSURE = """some avg10={some} avg60=1.92 avg300=0.64 total=1229803
full avg10=88.00 avg60=1.00 avg300=0.10 total=603127
"""
EVENTS = """low 0
high 12
max 0
oom 3
oom_kill 2
oom_group_kill 0
"""

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setattr(memory_pressure, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory_pressure, "CGROUPS", tmp_path / "cgroup")

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


def test_a_kernel_that_does_not_measure_it_tells_nothing(write: Write) -> None:
    assert memory_pressure_pct() is None
    assert memory_kills_count() is None
    write("proc/pressure/memory", "")
    write("proc/self/cgroup", "12:memory:/user.slice\n0::/\n")
    assert memory_pressure_pct() is None
    assert memory_kills_count() is None


def test_the_share_of_some_programs_over_ten_seconds_counts(write: Write) -> None:
    write("proc/pressure/memory", PRESSURE.format(some="3.27"))
    assert memory_pressure_pct() == 3.27


def test_the_services_own_limit_counts_too(write: Write) -> None:
    write("proc/pressure/memory", PRESSURE.format(some="0.00"))
    write("proc/self/cgroup", "0::/system.slice/leukoscope.service\n")
    write("cgroup/system.slice/leukoscope.service/memory.pressure", PRESSURE.format(some="41.50"))
    write("cgroup/system.slice/leukoscope.service/memory.events", EVENTS)
    assert memory_pressure_pct() == 41.5
    assert memory_kills_count() == 2
