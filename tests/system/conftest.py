"""The boxes for the cases, and the table of their times."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.device import Device, find_package, prepare_disk
from tests.system.image import Image, Tell, build_image, why_not
from tests.system.run import BOXES_VARIABLE, OUT_VARIABLE, RUN_VARIABLE
from tests.system.timing import TABLE, Clock
from tests.system.watch import Watch


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Tell:
    """A function that reports slow steps on the terminal, even while pytest captures all output."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")

    def say(words: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"  {words}")

    return say


@pytest.fixture(scope="session")
def image(tell: Tell) -> Image:
    """Debian, without anything of ours."""
    reason = why_not()
    if reason is not None:
        pytest.skip(f"no machine can be booted: {reason}")
    return build_image(tell)


@pytest.fixture(scope="session")
def package(image: Image) -> Path:
    """The package under test."""
    found = find_package()
    if found is None:
        pytest.skip("there is no package (make deb, or say where it is with LEUKOSCOPE_DEB=FILE)")
    return found.resolve(strict=True)


@pytest.fixture(scope="session")
def device_disk(image: Image, package: Path, tell: Tell) -> Path:
    """A disk with the package installed, to begin from."""
    return prepare_disk(image, package, tell)


@pytest.fixture
def box_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder for a box's disk and console log. Removed afterwards, unless kept on request: a disk is large."""
    kept = os.environ.get(BOXES_VARIABLE)
    if kept:
        yield Path(kept) / request.node.name
        return
    with tempfile.TemporaryDirectory(prefix="box-") as folder:
        yield Path(folder)


@pytest.fixture
def cuts_count() -> int:
    """How often the power is cut."""
    return 20 if os.environ.get(RUN_VARIABLE) == "long" else 1


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The clock for the times in the table."""
    return Clock(request.node.name.removeprefix("test_").replace("_", " "))


@pytest.fixture
def device(image: Image, device_disk: Path, box_folder: Path, clock: Clock) -> Iterator[Device]:
    """A device that is switched off, with a subscriber that waits for it."""
    with Box(image, box_folder, base=device_disk) as box, Watch(box.broker_port) as watch:
        yield Device(box, watch)
        if box.panics_count:
            clock.note("panics of the emulated kernel", box.panics_count)


@pytest.fixture
def running(device: Device) -> Device:
    """A device whose results are arriving."""
    began_s = time.monotonic()
    device.box.boot()
    device.watch.results(5, since_s=began_s)
    return device


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the last output of a box beside the failure of its case."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    fixtures = getattr(item, "funcargs", {})
    device = fixtures.get("device") or getattr(fixtures.get("bench"), "device", None)
    if report.when == "call":
        TABLE.outcome(item.name.removeprefix("test_").replace("_", " "), report.outcome)
    if report.failed and isinstance(device, Device):
        report.sections.append(("console of the box", device.box.screen.tail()))
        try:
            report.sections.append(("journal of the agent", device.box.journal("leukoscope")))
        except Exception as error:  # noqa: BLE001 - a box without power tells nothing, and that is no second failure
            report.sections.append(("journal of the agent", f"cannot be had: {error}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, and write it to a file if one is named."""
    rows = TABLE.rows()
    if not rows:
        return
    terminalreporter.section("system test: cases and times")
    for line in TABLE.lines():
        terminalreporter.write_line(line)
    out = os.environ.get(OUT_VARIABLE)
    if out:
        Path(out).write_text(json.dumps(rows, indent=2) + "\n")
