"""Measures whether the dashboard keeps up with many devices: its counts, how long it blocks, and its memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.app import app
from benchmarks.report import AsJson, Findings, Goal, Out, ratio, reported
from edge_agent.cli.local_broker import LOOPBACK, find_mosquitto, free_port, run_mosquitto

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from playwright.sync_api import Browser, CDPSession, Page

PAGE = Path(__file__).resolve().parent.parent / "deploy" / "dashboard" / "page"
SITES = 4
"""Number of sites, each with one process of devices."""
NICENESS = 19
"""Niceness of the devices: they are other machines."""
STEPS = 10
ACT_S = 1.0
"""Time between two presses of a key, as of a person at the page."""
VIEWS = ("overview", "readings", "overview", "reports")
SETTLED_STEP = 2
"""From the end of this step on, every store of the page is full, and its memory must not grow."""
PATIENCE_S = 120.0

# The browser's own reports: tasks longer than 50 ms, and the time from the press of a key until something is drawn.
OBSERVE = """
window.observed = {long_tasks_ms: [], inputs_ms: []};
new PerformanceObserver((list) => list.getEntries().forEach((each) => observed.long_tasks_ms.push(each.duration)))
  .observe({type: "longtask"});
new PerformanceObserver((list) => list.getEntries().filter((each) => each.name === "keydown")
  .forEach((each) => observed.inputs_ms.push(each.duration))).observe({type: "event", durationThreshold: 16});
"""

COLUMNS = {
    "at_s": "second",
    "results_count": "results",
    "heap_mb": "heap (MB)",
    "nodes_count": "DOM nodes",
    "busy_ratio": "main thread busy",
    "load_average": "load average",
    "long_tasks_count": "long tasks",
    "longest_task_ms": "longest (ms)",
    "input_p95_ms": "input p95 (ms)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """The page in a part of the run; its memory is measured after a garbage collection at the end of the part."""

    at_s: float
    results_count: int
    heap_mb: float
    nodes_count: int
    busy_ratio: float
    load_average: float
    """Programs that want a processor, over the last minute. If there are more than cores, the page waits, too."""
    long_tasks_count: int
    long_tasks_ms: float
    longest_task_ms: float
    input_p95_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """A whole run."""

    steps: tuple[Step, ...]
    published_count: int
    """Results that the devices have published and the broker has acknowledged."""
    shown_count: int
    """Results that the page has counted."""
    repeats_count: int
    missing_count: int
    unreadable_count: int


def wait_until_open(port: int) -> None:
    """Wait until something listens on a port of this machine. Raises ``RuntimeError`` if nothing does."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection((LOOPBACK, port), 1).close()
        except OSError as error:
            if time.monotonic() > until:
                raise RuntimeError(f"nothing listens on port {port}") from error
            time.sleep(0.02)
        else:
            return


@contextmanager
def _opened(browser: Browser, port: int) -> Iterator[Page]:
    """Open the page, connected."""
    page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 900})
    page.add_init_script(OBSERVE)
    page.goto(f"http://{LOOPBACK}:{port}/")
    page.get_by_role("button", name="Connect", exact=True).click()
    page.locator("#link.on").wait_for()
    yield page
    page.close()


def _publish(port: int, devices_count: int, each_count: int) -> list[subprocess.Popen[str]]:
    nice = shutil.which("nice") or "nice"
    module = [
        nice,
        "-n",
        str(NICENESS),
        sys.executable,
        "-m",
        "edge_agent.testing.simulated_device",
        "--broker",
        f"{LOOPBACK}:{port}",
    ]
    return [
        subprocess.Popen(
            [*module, "--site", f"site-{number}", "--devices", str(devices_count // SITES),
             "--count", str(each_count), "--seed", str(1000 * number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(SITES)
    ]  # fmt: skip


def _counts(page: Page) -> dict[str, int]:
    """The counts that the overview shows."""
    text = page.locator("#counts").inner_text()
    found = re.findall(r"(readings|repeats left out|missing|messages not read) ([\d,]+)", text)
    return {name: int(count.replace(",", "")) for name, count in found}


class _Watched:
    """The page while somebody uses it by keys, with its browser's reports."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")
        self._views = cycle(VIEWS)
        self._began = time.monotonic()

    def step(self, seconds: float) -> Step:
        """Use two views for this long."""
        self._page.evaluate("() => { observed.long_tasks_ms.length = 0; observed.inputs_ms.length = 0; }")
        busy_s, since = self._metric("TaskDuration"), time.monotonic()
        self._use(since + seconds / 2)
        self._use(since + seconds)
        busy_s, elapsed_s = self._metric("TaskDuration") - busy_s, time.monotonic() - since
        seen: dict[str, list[float]] = self._page.evaluate("() => observed")
        self._page.locator("#nav-overview").click()
        # The collection stops the page, so it is not part of any step.
        self._session.send("HeapProfiler.collectGarbage")
        heap = self._session.send("Runtime.getHeapUsage")
        tasks_ms, inputs_ms = seen["long_tasks_ms"], seen["inputs_ms"]
        return Step(
            at_s=round(time.monotonic() - self._began, 1),
            results_count=_counts(self._page)["readings"],
            heap_mb=round((heap["usedSize"] + heap.get("backingStorageSize", 0)) / 1e6, 2),
            nodes_count=int(self._metric("Nodes")),
            busy_ratio=round(busy_s / elapsed_s, 3),
            load_average=round(os.getloadavg()[0], 1),
            long_tasks_count=len(tasks_ms),
            long_tasks_ms=round(sum(tasks_ms), 1),
            longest_task_ms=round(max(tasks_ms, default=0.0), 1),
            input_p95_ms=round(float(np.percentile(inputs_ms or [0.0], 95)), 1),
        )

    def _use(self, until: float) -> None:
        self._page.locator(f"#nav-{next(self._views)}").click()
        while time.monotonic() < until:
            self._page.keyboard.press("Tab")
            self._page.wait_for_timeout(1000 * max(0.0, min(ACT_S, until - time.monotonic())))

    def _metric(self, name: str) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == name))


def load(browser: Browser, devices_count: int, seconds: int, steps_count: int = STEPS) -> Load:
    """Use the page by keys while each device publishes one result per second.

    Raises ``RuntimeError`` if mosquitto is not installed or the devices fail.
    """
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise RuntimeError("mosquitto is not installed (apt-get install mosquitto)")
    port, page_port = free_port(), free_port()
    more = f"allow_anonymous true\nlistener {page_port} {LOOPBACK}\nprotocol websockets\nhttp_dir {PAGE}\n"
    with ExitStack() as closing:
        closing.enter_context(run_mosquitto(mosquitto, port, extra_configuration=f"max_queued_messages 100000\n{more}"))
        wait_until_open(page_port)
        page = closing.enter_context(_opened(browser, page_port))
        watched = _Watched(page)
        processes = _publish(port, devices_count, seconds)
        try:
            steps = tuple(watched.step(seconds / steps_count) for _ in range(steps_count))
            printed = [each.communicate(timeout=PATIENCE_S)[0] for each in processes]
        finally:
            for each in processes:
                if each.poll() is None:
                    each.kill()
                    each.communicate()
        published = [json.loads(line) for lines in printed for line in lines.splitlines()]
        if len(published) != devices_count or any(each["waiting_count"] for each in published):
            raise RuntimeError("the devices could not publish what they were told to")
        published_count = sum(each["results_count"] for each in published)
        until = time.monotonic() + PATIENCE_S
        while _counts(page)["readings"] < published_count and time.monotonic() < until:
            page.wait_for_timeout(100)
        counts = _counts(page)
    return Load(
        steps=steps,
        published_count=published_count,
        shown_count=counts["readings"],
        repeats_count=counts["repeats left out"],
        missing_count=counts["missing"],
        unreadable_count=counts["messages not read"],
    )


@app.command("dashboard")
def dashboard(
    devices_count: Annotated[int, typer.Option("--devices", min=SITES, help="A multiple of four.")] = 200,
    seconds: Annotated[int, typer.Option(min=STEPS, help="Each device publishes one result a second.")] = 600,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """The dashboard with 200 devices at a result a second each, for ten minutes."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of this measurement alone

    findings = Findings("load", COLUMNS)
    # Broker, devices and browser are other processes, which are meant to run beside each other.
    with reported(findings, as_json=as_json, out=out, max_others_pct=100.0):
        with sync_playwright() as playwright:
            program = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            run = load(browser, devices_count, seconds)
            browser.close()
        findings.rows = [asdict(step) for step in run.steps]
        findings.goals = _goals(run, seconds)
        findings.notes = [
            f"{devices_count} devices in {SITES} processes",
            f"published {run.published_count}, counted {run.shown_count}",
            f"repeats {run.repeats_count}, missing {run.missing_count}, not read {run.unreadable_count}",
        ]
        findings.draw = _draw(run.steps)


def _goals(run: Load, seconds: int) -> list[Goal]:
    settled, last = run.steps[SETTLED_STEP - 1], run.steps[-1]
    long_tasks_ms = sum(step.long_tasks_ms for step in run.steps)
    slowest_ms = max(step.input_p95_ms for step in run.steps)
    counted = ratio(run.shown_count, run.published_count)
    heap = ratio(last.heap_mb, settled.heap_mb)
    return [
        Goal("results counted, by results published", 1.0, at_most=False, measured=counted),
        Goal("results counted too often", 0, at_most=True, measured=max(0, run.shown_count - run.published_count)),
        Goal("numbers missing", 0, at_most=True, measured=run.missing_count),
        Goal("memory at the end, times that of a fifth of the run", 1.1, at_most=True, measured=heap),
        Goal("share of the time in long tasks", 0.05, at_most=True, measured=ratio(long_tasks_ms, 1000 * seconds)),
        Goal("p95 of a key until it is drawn (ms)", 200, at_most=True, measured=slowest_ms, is_ratio=False),
    ]


def _draw(steps: tuple[Step, ...]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        at_s = [step.at_s for step in steps]
        figures: dict[str, Any] = {
            "memory after a collection (MB)": [step.heap_mb for step in steps],
            "main thread busy (%)": [100 * step.busy_ratio for step in steps],
            "load average of the machine": [step.load_average for step in steps],
        }
        for name, values in figures.items():
            axes.plot(at_s, values, marker="o", label=name)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seconds")
        axes.legend()

    return draw
