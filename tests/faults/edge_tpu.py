"""An Edge TPU that fails again and again: no reading is lost, and nothing is left behind.

``python -m tests.faults.edge_tpu`` measures how long recovery takes after each kind of fault, then lets it stall 1,000
times in a row.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import numpy as np
import psutil
import typer
from rich.console import Console

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, load_golden
from edge_agent.inference.classifier import quantization_table
from edge_agent.inference.edgetpu import process
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu
from edge_agent.inference.edgetpu.options import EdgeTpuOptions
from edge_agent.inference.runtime import Runtime
from tests.edge_tpu import hollow_child
from tests.edge_tpu.stand_in import NO_COMPILER, FakeUsb, build_library, coral_bundle

FAULTS = ("stall", "crash", "segv", "exit", "refuse", "stale", "garble", "unplug")
WARM_UP_SHARE = 0.2
MAX_GROWTH_KB = 1024
"""Limit for resident memory over the stalls after the warm-up.

One picture per stall would be 147 kB times their number."""
MAX_ATTEMPTS = 50
PROGRESS_COUNT = 50
PICTURES_COUNT = 8
GOOD_COUNT = 5
"""Answers before a stall: four golden fields and a picture."""

console = Console(soft_wrap=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Recovery:
    """One fault: the time of the picture during the fault, and the time until the Edge TPU judged again."""

    fault: str
    picture_ms: float
    away_ms: float


@dataclass(frozen=True, slots=True)
class StallsReport:
    """The state after many stalls in a row. ``wrong_count`` pictures were judged differently from the processor."""

    seconds: float
    stalls_count: int
    pictures_count: int
    wrong_count: int
    recovery_p50_ms: float
    recovery_p95_ms: float
    resident_first_kb: int
    resident_last_kb: int
    files_first_count: int
    files_last_count: int
    threads_first_count: int
    threads_last_count: int
    processes_left_count: int

    @property
    def problems(self) -> tuple[str, ...]:
        """Every figure that is not as it should be."""
        checks = {
            "pictures were judged wrongly": self.wrong_count > 0,
            "memory grows": self.resident_last_kb - self.resident_first_kb > MAX_GROWTH_KB,
            "open files grow": self.files_last_count > self.files_first_count,
            "threads grow": self.threads_last_count > self.threads_first_count,
            "processes are left": self.processes_left_count > 0,
        }
        return tuple(what for what, bad in checks.items() if bad)


class Bench:
    """A classifier with a fake Edge TPU, and one on the processor alone for comparison."""

    def __init__(self, folder: Path, *, deadline_s: float) -> None:
        library, bundle = build_library(folder), coral_bundle(folder / "bundle")
        self.usb = FakeUsb(folder / "sys")
        self.usb.plug_in()
        self._command = folder / "command"
        self.command("work")
        options = EdgeTpuOptions(
            library=str(library), sysfs=self.usb.root, deadline_s=deadline_s, retry_initial_s=0.0, retry_max_s=0.0
        )
        self.edge_tpu = EdgeTpu(options)
        self._classifier, self._alone = Classifier(load_bundle(bundle)), Classifier(load_bundle(bundle))
        self._classifier.accelerate(self.edge_tpu)
        self._pictures = np.random.default_rng(5).integers(0, 256, (PICTURES_COUNT, 224, 224, 3), dtype=np.uint8)
        self.pictures_count = self.wrong_count = 0

    def command(self, word: str) -> None:
        """Set what the fake does from the next picture on."""
        # Written in one step, so that half a word is never read.
        draft = self._command.with_suffix(".new")
        draft.write_text(word)
        draft.rename(self._command)

    def judge(self) -> str | None:
        """Judge another picture, and compare the result with the processor's."""
        picture = self._pictures[self.pictures_count % len(self._pictures)]
        found = self._classifier.classify(picture)
        expected = self._alone.classify(picture)
        self.pictures_count += 1
        self.wrong_count += not (
            np.array_equal(found.logits, expected.logits) and found.unfamiliarity_score == expected.unfamiliarity_score
        )
        return found.accelerator

    def hollow(self, folder: Path, stalls_after: int) -> None:
        """From now on, a process loads no library, starts at once, and stalls after ``stalls_after`` answers."""
        folder.mkdir()
        runtime = Runtime(self._classifier.bundle.contents[MODEL])
        pictures = [*load_golden(self._classifier.bundle).image, *self._pictures]
        table = quantization_table(runtime.input)
        for picture in pictures:
            values = np.ascontiguousarray(table[picture])
            outputs = [each.tobytes() for each in runtime.answer(values).values()]
            # In the layout of SharedTensors.
            answer = b"".join(each + bytes(-len(each) % 64) for each in outputs)
            (folder / hashlib.sha256(values.tobytes()).hexdigest()).write_bytes(answer)
        os.environ["HOLLOW_ANSWERS"], os.environ["HOLLOW_STALLS_AFTER"] = str(folder), str(stalls_after)

    def recover(self) -> None:
        """Wait until the Edge TPU judges again."""
        for _ in range(MAX_ATTEMPTS):
            self.edge_tpu.do_round()
            if self.edge_tpu.active:
                return
        raise RuntimeError(f"the Edge TPU does not come back: {self.edge_tpu.problem}")


@contextmanager
def bench(deadline_s: float) -> Iterator[Bench]:
    """A bench in its own folder."""
    with tempfile.TemporaryDirectory(prefix="leukoscope-edge-tpu-") as folder:
        os.environ["FAKE_EDGETPU_COMMAND"] = str(Path(folder) / "command")
        found = Bench(Path(folder), deadline_s=deadline_s)
        try:
            yield found
        finally:
            found.edge_tpu.close()
            del os.environ["FAKE_EDGETPU_COMMAND"]


def recoveries() -> tuple[Recovery, ...]:
    """Each fault once, with the default deadline."""
    found = []
    for fault in FAULTS:
        with bench(EdgeTpuOptions().deadline_s) as each:
            each.recover()
            if each.judge() is None:
                raise RuntimeError(f"the Edge TPU does not judge before {fault}")
            if fault == "unplug":
                each.usb.unplug()
                each.edge_tpu.do_round()
            else:
                each.command(fault)
            began = time.perf_counter()
            accelerator = each.judge()
            picture_ms = (time.perf_counter() - began) * 1e3
            if accelerator is not None or each.wrong_count:
                raise RuntimeError(f"{fault} was not noticed")
            each.command("work")
            if fault == "unplug":
                each.usb.plug_in("1a6e:089a")
            began = time.perf_counter()
            each.recover()
            found.append(Recovery(fault, round(picture_ms, 1), round((time.perf_counter() - began) * 1e3, 1)))
    return tuple(found)


def stall_often(
    count: int,
    *,
    hollow: bool = False,
    deadline_s: float = 0.05,
    on_progress: Callable[[str], None] = lambda _line: None,
) -> StallsReport:
    """Let each process stall at its second picture, ``count`` times.

    ``hollow`` processes load nothing, so that many of them start quickly: they leave the same behind in the agent.
    """
    this = psutil.Process()
    others = {each.pid for each in this.children()}
    with bench(deadline_s) as each, ExitStack() as stack:
        if hollow:
            each.hollow(each.usb.root / "answers", GOOD_COUNT)
            stack.enter_context(patch.object(process, "_MODULE", hollow_child.__name__))
        else:
            each.command(f"stall {GOOD_COUNT}")
        times_ms: list[float] = []
        began = time.monotonic()
        first = (0, 0, 0)
        for number in range(count):
            if number == int(count * WARM_UP_SHARE):
                first = _held(this)
            if number % PROGRESS_COUNT == 0:
                resident_kb, files_count, threads_count = _held(this)
                on_progress(f"{number} stalls: {resident_kb} kB, {files_count} files, {threads_count} threads")
            started = time.perf_counter()
            each.recover()
            times_ms.append((time.perf_counter() - started) * 1e3)
            while each.judge() is not None:
                pass
        # The killed process is released at the next start.
        each.edge_tpu.close()
        last = _held(this)
        seconds = time.monotonic() - began
        pictures_count, wrong_count = each.pictures_count, each.wrong_count
    p50, p95 = np.percentile(times_ms, [50, 95])
    return StallsReport(
        seconds=round(seconds, 1),
        stalls_count=count,
        pictures_count=pictures_count,
        wrong_count=wrong_count,
        recovery_p50_ms=round(float(p50), 1),
        recovery_p95_ms=round(float(p95), 1),
        resident_first_kb=first[0],
        resident_last_kb=last[0],
        files_first_count=first[1],
        files_last_count=last[1],
        threads_first_count=first[2],
        threads_last_count=last[2],
        processes_left_count=len({each.pid for each in this.children()} - others),
    )


def _held(process: psutil.Process) -> tuple[int, int, int]:
    return process.memory_info().rss // 1024, process.num_fds(), process.num_threads()


def main(
    stalls: Annotated[int, typer.Option(min=1, help="Stalls in a row.")] = 1000,
    hollow: Annotated[
        bool, typer.Option("--hollow", help="With processes that load nothing, so that it takes a tenth of the time.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File to write the figures to, as JSON.")] = None,
) -> None:
    """Every kind of fault once, then many stalls."""
    if shutil.which("cc") is None:
        console.print(NO_COMPILER, style="red")
        raise typer.Exit(2)
    each_fault = recoveries()
    console.print("After a fault (without the pause)", style="bold")
    for each in each_fault:
        console.print(f"  {each.fault:<8} picture {each.picture_ms:7.1f} ms, back after {each.away_ms:7.1f} ms")
    report = stall_often(stalls, hollow=hollow, on_progress=lambda line: console.print(f"  {line}", style="dim"))
    console.print("Stalls in a row", style="bold")
    for name, value in asdict(report).items():
        console.print(f"  {name:<22} {value}")
    if out is not None:
        figures = {"recoveries": [asdict(each) for each in each_fault], "stalls": asdict(report)}
        out.write_text(json.dumps(figures, indent=2) + "\n")
    for problem in report.problems:
        console.print(f"FAIL: {problem}", style="red")
    if report.problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
