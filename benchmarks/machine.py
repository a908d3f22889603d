"""Describes the machine, and whether its figures are valid."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import psutil

from edge_agent.inference.runtime import runtime_name
from edge_agent.monitoring.host import cpu_temperature_c
from edge_agent.monitoring.throttling import read_throttling

MAX_OTHERS_PCT = 10.0
"""Share of the machine's processor time; if other processes take more, figures are not valid."""

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, reported with every figure."""

    model: str
    architecture: str
    cores_count: int
    memory_gb: float
    governor: str | None
    """None if the kernel does not report it."""
    versions: dict[str, str]


def describe_machine() -> Machine:
    """The current machine."""
    return Machine(
        model=_model(),
        architecture=platform.machine(),
        cores_count=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        versions={
            "leukoscope": metadata.version("leukoscope"),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "runtime": runtime_name(),
        },
    )


def _model() -> str:
    device_tree = Path("/proc/device-tree/model")
    if device_tree.exists():
        return device_tree.read_text().strip("\0\n ")
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


@dataclass(slots=True)
class Conditions:
    """The conditions during a measurement."""

    others_pct: float = 0.0
    """Processor time taken by other processes, over all cores."""
    temperature_c: float | None = None
    throttling: tuple[str, ...] | None = None
    objections: list[str] = field(default_factory=list)
    """Why the figures are not valid; empty if they are."""

    @property
    def valid(self) -> bool:
        """Whether the figures may be used."""
        return not self.objections


@contextmanager
def observed(max_others_pct: float = MAX_OTHERS_PCT) -> Iterator[Conditions]:
    """Watch the machine while the body measures; the yielded object is filled in at the end."""
    conditions = Conditions()
    cores = os.cpu_count() or 1
    busy, own, began = _busy_s(), _own_s(), time.monotonic()
    yield conditions
    elapsed_s = max(time.monotonic() - began, 1e-9)
    others_s = max(0.0, (_busy_s() - busy) - (_own_s() - own))
    conditions.others_pct = round(100 * others_s / (elapsed_s * cores), 1)
    conditions.temperature_c = cpu_temperature_c()
    conditions.throttling = read_throttling()
    if conditions.others_pct > max_others_pct:
        conditions.objections.append(
            f"other processes took {conditions.others_pct:.0f} % of the processor (at most {max_others_pct:g} %)"
        )
    now = [flag for flag in conditions.throttling or () if not flag.endswith("_occurred")]
    if now:
        conditions.objections.append(f"the processor is slowed down: {', '.join(now)}")


def _busy_s() -> float:
    times = psutil.cpu_times()._asdict()
    # A guest's time is already part of 'user'.
    return float(sum(times.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal")))


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def as_record(machine: Machine, conditions: Conditions) -> dict[str, object]:
    """As a dictionary, for ``--json``."""
    return {"machine": asdict(machine), "conditions": {**asdict(conditions), "valid": conditions.valid}}
