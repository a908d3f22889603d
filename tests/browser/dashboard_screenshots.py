"""Takes the dashboard's pictures for the documentation: ``python -m tests.browser.dashboard_screenshots --out FOLDER``.

Every device is simulated or made up, and no picture shows a smear.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import find_mosquitto
from tests.browser.dashboard import TESTER, DashboardBroker, Speaker, Witness, dashboard_broker, log_in, simulated
from tests.results import any_result

SITES = ("east-ward", "north-clinic", "south-lab")
DEVICES_PER_SITE = 4
LOST = "north-clinic/scope-9"
HEIGHTS = {1280: 900, 360: 740}
VIEWS = ("overview", "device/south-lab/scope-1", "readings", "alarms", "page")
QUICK = ("--mqtt", "heartbeat_s=2", "--mqtt", "status_expiry_s=6", "--mqtt", "will_delay_s=1")
PROBLEMS: dict[str, Any] = {
    "camera": ("camera_lost", "The camera gives no pictures.", "Check its cable."),
    "certificates": ("certificate_expires", "The device's certificate ends in 12 days.", "Renew it."),
}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _make_trouble(speaker: Speaker, witness: Witness) -> None:
    """Make a few examples of each problem that a person has to look at."""
    for number, (name, (code, message, remedy)) in enumerate(PROBLEMS.items(), 1):
        topic = f"south-lab/scope-{number}/health"
        health = witness.newest(f"leukoscope/v1/{topic}")
        check = {"name": name, "state": "degraded", "code": code, "message": message, "remedy": remedy}
        speaker.say(topic, {**health, "state": "degraded", "checks": [*health["checks"], check]}, retain=True)
    info = witness.newest("leukoscope/v1/east-ward/scope-3/info")
    speaker.say("east-ward/scope-3/info", {**info, "provisional": True}, retain=True)
    result = {**json.loads(any_result().to_json()), "site": "east-ward", "device": "scope-4", "error": None}
    for seq in range(20):
        refused = {
            "id": str(uuid7()),
            "seq": seq,
            "outcome": "abstained",
            "reason": "unfamiliar",
            "captured_at": _now(),
        }
        speaker.say("east-ward/scope-4/result/camera0", {**result, **refused})
    metrics = witness.newest("leukoscope/v1/north-clinic/scope-2/metrics")
    for waiting in (12, 80, 412):
        spool = {**metrics["spool"], "waiting_count": waiting, "oldest_age_s": 640.0}
        speaker.say("north-clinic/scope-2/metrics", {**metrics, "spool": spool})


def _take(page: Page, folder: Path, name: str, *, full: bool) -> None:
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=full)
    with Image.open(path) as picture:
        small = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=128)
    small.save(path, optimize=True)


@contextmanager
def _page(browser: Browser, broker: DashboardBroker, scheme: str, width: int) -> Iterator[Page]:
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]  # a literal's name
        locale="en-GB",
        viewport={"width": width, "height": HEIGHTS[width]},
    )
    page = context.new_page()
    log_in(page, broker.address)
    yield page
    context.close()


def _take_all(page: Page, broker: DashboardBroker, folder: Path, name: str) -> None:
    for view in VIEWS:
        page.goto(f"{broker.address}#/{view}")
        page.wait_for_timeout(1500)
        _take(page, folder, f"{view.replace('/', '-')}-{name}", full=view == "overview" and "1280" in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    mosquitto = find_mosquitto()
    assert mosquitto is not None
    with ExitStack() as closing:
        state = Path(closing.enter_context(TemporaryDirectory()))
        broker = closing.enter_context(dashboard_broker(mosquitto, state, [LOST]))
        witness, speaker = Witness(broker.port), Speaker(broker.port)
        closing.callback(witness.close)
        closing.callback(speaker.close)
        common = ["--broker", f"127.0.0.1:{broker.port}", *QUICK]
        fleet = [
            [*common, "--site", site, "--device", "scope", "--devices", str(DEVICES_PER_SITE), "--username", TESTER]
            for site in SITES
        ]
        lone = [*common, "--site", "north-clinic", "--device", "scope-9", "--username", LOST]
        *_, lost = closing.enter_context(simulated(*fleet, lone))
        playwright = closing.enter_context(sync_playwright())
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        slide = {"id": str(uuid7()), "specimen": "S-7K3F-92QX", "slide": 2, "fields_count": 40}
        witness.newest("leukoscope/v1/east-ward/scope-1/info")
        speaker.say("east-ward/scope-1/command/set-specimen", slide)
        witness.newest(f"leukoscope/v1/{LOST}/info")
        with _page(browser, broker, "light", 1280) as desk, _page(browser, broker, "dark", 360) as phone:
            # Metrics arrive every half minute, and with them the latencies and the backlog.
            witness.newest("leukoscope/v1/north-clinic/scope-2/metrics")
            lost.kill()
            expect(desk.locator(f'#attention [data-device="{LOST}"]')).to_be_visible()
            _make_trouble(speaker, witness)
            _take_all(phone, broker, folder, "360-dark")
            desk.get_by_role("button", name="I have seen this").click()
            desk.evaluate("scrollTo(0, 0)")
            _take_all(desk, broker, folder, "1280-light")
            speaker.say("east-ward/scope-1/command/finish-specimen", {"id": str(uuid7())})
            desk.goto(f"{broker.address}#/reports")
            desk.get_by_role("link", name="S-7K3F-92QX, slide 2").click()
            desk.locator(".distribution").wait_for()
            _take(desk, folder, "report-1280-light", full=True)
        browser.close()


if __name__ == "__main__":
    main()
