"""The dashboard in a browser, with a broker as shipped and twenty devices, one of them a real agent."""

from __future__ import annotations

import csv
import io
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # has no types
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import Table, create_engine, select
from sqlalchemy.exc import OperationalError
from uuid_utils.compat import uuid7

from edge_agent.collector.tables import devices, results
from edge_agent.contracts import Outcome, Status, StatusState
from edge_agent.mqtt.settings import PASSWORD_VARIABLE
from tests.browser.dashboard import (
    PASSWORD,
    TESTER,
    DashboardBroker,
    SimulatedProcess,
    Speaker,
    Witness,
    copied_page,
    dashboard_broker,
    log_in,
    nginx_in_front,
    simulated,
)
from tests.browser.watching import until
from tests.mqtt import PATIENCE_S
from tests.results import any_result

VIEWS = ("overview", "device/south-lab/scope-a", "readings", "reports", "alarms", "page")
MANY = 17
QUICK = {"heartbeat_s": 1, "status_expiry_s": 3, "will_delay_s": 1, "keepalive_s": 5, "reconnect_max_s": 1}
HOSTILE = '<img src=x onerror="window.hacked=1">\'"</td><script>window.hacked=1</script>{{7*7}}\u202e'


def options(broker: DashboardBroker, site: str, device: str, username: str, *more: str) -> list[str]:
    mqtt_settings = [each for name, value in QUICK.items() for each in ("--mqtt", f"{name}={value}")]
    where = ["--broker", f"127.0.0.1:{broker.port}", "--site", site, "--device", device, "--username", username]
    return [*where, *mqtt_settings, *more]


@dataclass
class FleetOfTwenty:
    broker: DashboardBroker
    witness: Witness
    """Receives what the broker delivers, independently of the page."""
    speaker: Speaker
    lone: SimulatedProcess
    """south-lab/scope-a, in its own process."""


@pytest.fixture(scope="module")
def fleet(mosquitto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfTwenty]:
    """17 simulated devices of one site in one process, two in their own, and a real agent on a synthetic camera."""
    folder = tmp_path_factory.mktemp("dashboard")
    own = ["south-lab/scope-a", "south-lab/scope-b", "south-lab/scope-c"]
    with ExitStack() as closing:
        broker = closing.enter_context(dashboard_broker(mosquitto, folder, own))
        witness = Witness(broker.port)
        closing.callback(witness.close)
        speaker = Speaker(broker.port)
        closing.callback(speaker.close)
        _, lone, _ = closing.enter_context(
            simulated(
                options(broker, "north-clinic", "scope", TESTER, "--devices", str(MANY)),
                options(broker, "south-lab", "scope-a", own[0], "--rate-hz", "4"),
                options(broker, "south-lab", "scope-b", own[1]),
            )
        )
        config = folder / "agent.toml"
        settings = "\n".join(f"{name} = {value}" for name, value in QUICK.items())
        config.write_text(
            f'[device]\nsite = "south-lab"\nid = "scope-c"\n[camera]\nkind = "synthetic"\nbad_fields_ratio = 0\n'
            f'[trigger]\ninterval_s = 0.5\n[analysis]\nbundle = "demo"\n[state]\nfolder = "{folder / "state"}"\n'
            f'[mqtt]\nport = {broker.port}\nusername = "{own[2]}"\n{settings}\n'
        )
        agent = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "--config", str(config)],
            env=os.environ | {PASSWORD_VARIABLE: PASSWORD},
            stderr=subprocess.DEVNULL,
        )
        closing.callback(agent.wait)
        closing.callback(agent.kill)
        yield FleetOfTwenty(broker, witness, speaker, lone)


@contextmanager
def collecting(broker: DashboardBroker, folder: Path) -> Iterator[Path]:
    """The collector in its own process; yields its SQLite file."""
    database = folder / "collected.db"
    config = folder / "collector.toml"
    config.write_text(
        f'[mqtt]\nport = {broker.port}\nusername = "{TESTER}"\n[database]\nurl = "sqlite:///{database}"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent.collector", "run", "--config", str(config)],
        env=os.environ | {PASSWORD_VARIABLE: PASSWORD},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield database
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def rows_of(database: Path, table: Table) -> list[dict[str, Any]]:
    """The committed rows; none while the table does not exist yet."""
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            return [dict(each._mapping) for each in connection.execute(select(table))]
    except OperationalError:
        return []
    finally:
        engine.dispose()


def as_text(value: object) -> str:
    """The value as in a CSV file of the page."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case float():
            return f"{value:.12g}"
        case _:
            return str(value)


def row(page: Page, device: str) -> Locator:
    return page.locator(f'#overview-rows tr[data-device="{device}"]')


def finding(page: Page, device: str, code: str) -> Locator:
    return page.locator(f'#attention [data-device="{device}"] [data-code="{code}"]')


def test_a_killed_device_is_lost_comes_back_and_an_old_will_is_ignored(page: Page, fleet: FleetOfTwenty) -> None:
    device, lone = "south-lab/scope-a", fleet.lone
    log_in(page, fleet.broker.address)
    expect(page.locator("#summary")).to_have_text("Devices: 20 · sites: 2 · working 20")
    expect(page.locator("#attention-none")).to_be_visible()
    old = fleet.witness.newest_status(device)
    lone.kill()
    expect(row(page, device).locator(".chip")).to_have_text("lost")
    expect(page.locator("#attention > li").first).to_have_attribute("data-device", device)
    expect(finding(page, device, "lost")).to_contain_text("Check that the device is on and on the network.")
    expect(page.locator("#alarm-bar")).to_contain_text("south-lab / scope-a: The connection was lost.")
    page.get_by_role("button", name="I have seen this").click()
    expect(page.locator("#alarm-bar")).to_be_hidden()

    lone.start()
    expect(row(page, device).locator(".chip")).to_have_text("working")
    expect(page.locator("#attention-none")).to_be_visible()
    will = old.model_copy(update={"state": StatusState.LOST})
    fleet.speaker.say(f"{device}/status", will.to_json(), retain=True)
    page.goto(f"{fleet.broker.address}#/device/{device}")
    ignored = page.locator("dt", has_text="Old last wills ignored").locator("+ dd")
    expect(ignored).to_have_text("1")
    expect(page.locator("#device-body .chip").first).to_have_text("working")


def test_a_device_that_stands_still_is_silent_by_its_own_rule(page: Page, fleet: FleetOfTwenty) -> None:
    """Its connection is still there, so the broker reports nothing yet."""
    log_in(page, fleet.broker.address)
    expect(row(page, "south-lab/scope-a").locator(".chip")).to_have_text("working")
    process = fleet.lone.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        expect(row(page, "south-lab/scope-a").locator(".chip")).to_have_text("silent")
        expect(finding(page, "south-lab/scope-a", "silent")).to_be_visible()
    finally:
        process.send_signal(signal.SIGCONT)
    expect(row(page, "south-lab/scope-a").locator(".chip")).to_have_text("working")


def test_a_report_opens_with_its_distribution(page: Page, fleet: FleetOfTwenty) -> None:
    log_in(page, fleet.broker.address, "reports")
    expect(page.locator("#reports-none")).to_be_visible()
    command = "south-lab/scope-a/command"
    specimen = {"id": str(uuid7()), "specimen": "S-7K3F-92QX", "slide": 2, "fields_count": 40}
    fleet.speaker.say(f"{command}/set-specimen", specimen)
    fleet.witness.until(
        lambda topic, body: (
            topic.startswith("leukoscope/v1/south-lab/scope-a/result/")
            and body["outcome"] == Outcome.CLASSIFIED
            and body["specimen"] is not None
        )
    )
    fleet.speaker.say(f"{command}/finish-specimen", {"id": str(uuid7())})
    page.get_by_role("link", name="S-7K3F-92QX, slide 2").click()
    expect(page.get_by_role("heading", name="S-7K3F-92QX, slide 2")).to_be_focused()
    sent = fleet.witness.newest("leukoscope/v1/south-lab/scope-a/report")
    shown = page.locator("#report-body")
    for text in ("Research use only", "This is a demonstration", "a malignant class of the model, not a finding"):
        expect(shown).to_contain_text(text)
    expect(shown.locator(".distribution tbody tr")).to_have_count(len(sent["labels"]))
    for shown_row, label in zip(shown.locator(".distribution tbody tr").all(), sent["labels"], strict=True):
        expect(shown_row).to_contain_text(label["name"])
        share = "{ratio:.1%} ({low_ratio:.1%} to {high_ratio:.1%})".format(**label)
        expect(shown_row.locator(".value")).to_have_text(share)


def test_the_table_sorts_and_filters(page: Page, fleet: FleetOfTwenty) -> None:
    log_in(page, fleet.broker.address, "readings")
    expect(page.locator("#readings-rows tr").nth(30)).to_be_visible()
    page.get_by_role("button", name="Latency").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Latency")
    latencies = [float(each.split()[0]) for each in page.locator("#readings-rows td:nth-child(7)").all_inner_texts()]
    assert latencies == sorted(latencies)
    page.get_by_label("Site, device, label").fill("scope-a")
    expect(page.locator("#readings-rows td:nth-child(3)").first).to_have_text("south-lab / scope-a")
    assert set(page.locator("#readings-rows td:nth-child(3)").all_inner_texts()) == {"south-lab / scope-a"}


def test_its_file_has_the_rows_of_the_collectors_database(page: Page, mosquitto: str, tmp_path: Path) -> None:
    with ExitStack() as closing:
        broker = closing.enter_context(dashboard_broker(mosquitto, tmp_path, []))
        database = closing.enter_context(collecting(broker, tmp_path))
        log_in(page, broker.address, "overview")
        speaker = Speaker(broker.port)
        closing.callback(speaker.close)
        ready = Status(site="clinic", device="first", session=uuid7(), state=StatusState.READY, code=None, at=None)
        # Any program that stores or shows this gets everything that comes later.
        speaker.say("clinic/first/status", ready.to_json(), retain=True)
        expect(row(page, "clinic/first")).to_be_visible()
        until(page, lambda: len(rows_of(database, devices)) == 1)
        more = ("--devices", "3", "--count", "20", "--rate-hz", "10")
        closing.enter_context(simulated(options(broker, "clinic", "scope", TESTER, *more)))
        expect(page.locator("#counts")).to_contain_text("readings 60 ·")
        until(page, lambda: len(rows_of(database, results)) == 60)
        stored = {str(each["id"]): each for each in rows_of(database, results)}
        page.goto(f"{broker.address}#/readings")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as CSV").click()
        expect(page.locator("#readings-saved")).to_have_text("Readings saved: 60")
    assert download.value.suggested_filename.startswith("leukoscope-readings-")
    exported = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"), newline="")))
    columns = exported[0].keys() - {"received_at", "use"}
    assert columns <= stored[exported[0]["id"]].keys()
    assert {each["use"] for each in exported} == {"research-only"}
    assert {each["id"]: {name: each[name] for name in columns} for each in exported} == {
        identity: {name: as_text(each[name]) for name in columns} for identity, each in stored.items()
    }


def test_hostile_and_foreign_messages_are_counted_and_change_nothing(page: Page, fleet: FleetOfTwenty) -> None:
    log_in(page, fleet.broker.address)
    expect(page.locator("#summary")).to_contain_text("working")
    say, place = fleet.speaker.say, "bad-clinic/scope-1"
    good = json.loads(Status(site="bad-clinic", device="scope-1", session=uuid7(), state=StatusState.READY, code=None,
                             at="2026-12-13T12:00:00Z").to_json())  # fmt: skip
    say(f"{place}/status", good)
    say(f"{place}/status", b'{"schema": ')
    say(f"{place}/status", b"\xff\xfe")
    say(f"{place}/status", {**good, "schema": "leukoscope/status/v7"})
    say(f"{place}/status", b"x" * 2**20)
    say(f"{place}/status", {**good, "state": 7})
    say("another/product", b"hello")
    say(f"{place}/{HOSTILE.replace('+', '').replace('#', '')}", good)
    body = {**json.loads(any_result().to_json()), "site": "bad-clinic", "outcome": "classified", "error": None}
    hostile = {"label": HOSTILE, "reason": HOSTILE, "software": HOSTILE, "camera": HOSTILE}
    say(f"{place}/result/camera0", {**body, **hostile, "model": {**body["model"], "name": HOSTILE}})
    event = {"schema": "leukoscope/event/v1", "site": "bad-clinic", "device": "scope-1", "id": str(uuid7())}
    say(f"{place}/event", {**event, "session": str(uuid7()), "kind": HOSTILE, "message": HOSTILE, "at": HOSTILE})
    check = {"name": HOSTILE, "state": "degraded", "code": HOSTILE, "message": HOSTILE, "remedy": HOSTILE}
    say(f"{place}/health", {**good, "schema": "leukoscope/health/v1", "state": "degraded", "checks": [check]})
    expect(finding(page, place, "clock")).to_contain_text("ahead of this computer's")
    expect(finding(page, place, "check")).to_contain_text("<script>window.hacked=1</script>")
    for view in (f"device/{place}", "readings", "alarms", "overview", "page"):
        page.goto(f"{fleet.broker.address}#/{view}")
        expect(page.locator(f"#view-{view.split('/')[0]}")).to_be_visible()
        if view == "readings":
            expect(page.locator("#readings-rows")).to_contain_text("<img src=x")
        assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.hacked") is None
    counts = {
        each.get_attribute("data-why"): each.inner_text().split(": ")[-1]
        for each in page.locator("#unreadable li").all()
    }
    assert counts == {"damaged": "2", "future": "1", "too_large": "1", "invalid": "1", "foreign": "2"}
    page.goto(f"{fleet.broker.address}#/overview")
    expect(row(page, "north-clinic/scope-1").locator(".chip")).to_have_text("working")


def test_it_speaks_both_versions_and_remembers_the_password_only_in_the_tab(page: Page, fleet: FleetOfTwenty) -> None:
    page.goto(fleet.broker.address)
    page.get_by_label("User name").fill("viewer")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("The broker does not accept this user name and password.")
    log_in(page, fleet.broker.address, "page", version="3.1.1")
    version = page.locator("dt", has_text="MQTT version").locator("+ dd")
    expect(version).to_have_text("3.1.1")
    assert PASSWORD not in json.dumps(page.evaluate("({...localStorage})"))
    page.reload()
    expect(version).to_have_text("3.1.1")
    page.get_by_role("button", name="Disconnect and forget the password").click()
    assert page.evaluate("sessionStorage.length") == 0
    assert page.get_by_label("Password").input_value() == ""
    log_in(page, fleet.broker.address, "page")
    expect(version).to_have_text("5")


def test_the_account_of_the_page_can_change_nothing(fleet: FleetOfTwenty) -> None:
    """It can neither send commands to a device, nor publish as one, nor for a site of the account's own name."""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, transport="websockets", protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set("viewer", PASSWORD)
    client.on_publish = lambda _client, _data, _mid, reason, _properties: said.put(str(reason))
    client.connect("127.0.0.1", fleet.broker.page_port)
    client.loop_start()
    topics = ("south-lab/scope-a/command/pause", "south-lab/scope-a/status", "viewer/scope-1/status")
    for topic in topics:
        client.publish(f"leukoscope/v1/{topic}", "x", qos=1)
    assert {said.get(timeout=PATIENCE_S) for _ in topics} == {"Not authorized"}
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_barrier_and_none_is_wider_than_a_phone(
    browser: Browser, fleet: FleetOfTwenty, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, locale="en-GB", viewport={"width": 360, "height": 740})  # type: ignore[arg-type]  # a literal's name
    page = context.new_page()
    log_in(page, fleet.broker.address)
    found: list[str] = []
    for language in ("de", "en"):
        page.goto(f"{fleet.broker.address}#/page")
        page.locator("#language").select_option(language)
        for view in VIEWS:
            page.goto(f"{fleet.broker.address}#/{view}")
            expect(page.locator(f"#view-{view.split('/')[0]}")).to_be_visible()
            if view == "overview":
                expect(page.locator("#overview-rows tr").nth(20)).to_be_attached()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, (language, view)
            raw = re.findall(r"\b[a-z]+\.[a-z_]+(?:\.[a-z_]+)*\b|\{[a-z]+\}", page.locator("body").inner_text())
            assert not raw, (language, view, "a text that no catalogue has")
            if language == "en":
                violations = Axe().run(page).response["violations"]
                found += [f"{view}: {each['id']}: {[node['target'] for node in each['nodes']]}" for each in violations]
    context.close()
    assert not found


def test_the_page_is_worked_by_keys_and_its_sound_is_off_until_a_person_turns_it_on(
    page: Page, fleet: FleetOfTwenty
) -> None:
    log_in(page, fleet.broker.address)
    expect(page.locator("#overview-heading")).to_be_focused()
    expect(page.locator("#overview-rows tr").nth(20)).to_be_attached()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(({activeElement: at}) => [at.getAttribute('href') || at.id, getComputedStyle(at).outlineStyle])(document)"
        )
        assert outline != "none", f"the focus on {name} is not seen"
        reached.append(name)
    assert "#/device/north-clinic/scope-1" in reached
    page.locator("#nav-alarms").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alarms-heading")).to_be_focused()
    sound = page.locator("#sound")
    expect(sound).to_have_attribute("aria-pressed", "false")
    sound.focus()
    page.keyboard.press("Enter")
    expect(sound).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(sound).to_have_attribute("aria-pressed", "false")


def test_without_its_broker_the_page_says_so_and_calls_no_device_lost(
    page: Page, mosquitto: str, tmp_path: Path
) -> None:
    with ExitStack() as first:
        broker = first.enter_context(dashboard_broker(mosquitto, tmp_path / "first", []))
        speaker = Speaker(broker.port)
        ready = Status(site="clinic", device="scope-1", session=uuid7(), state=StatusState.READY, code=None, at=None)
        log_in(page, broker.address)
        # Only now: on a busy machine, a status of two seconds is over before the page has loaded.
        speaker.say("clinic/scope-1/status", ready.to_json(), retain=True, expiry_s=2)
        expect(row(page, "clinic/scope-1").locator(".chip")).to_have_text("working")
        speaker.close()
    expect(page.locator("#away")).to_be_visible()
    expect(page.locator("#alarm-bar")).to_contain_text("This page has lost its broker.")
    expect(row(page, "clinic/scope-1").locator(".chip")).to_have_text("working")
    with dashboard_broker(mosquitto, tmp_path / "second", [], ports=broker):
        expect(page.locator("#away")).to_be_hidden()
        expect(page.locator("#link")).to_have_text("Connected")
        page.goto(f"{broker.address}#/alarms")
        expect(page.locator("#alarms li")).to_have_count(1)


def test_over_https_nginx_serves_the_page_and_passes_the_broker_on(
    browser: Browser, fleet: FleetOfTwenty, repository: Path, tmp_path: Path
) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    script = repository / "deploy" / "mosquitto" / "make-trial-certificates"
    subprocess.run([script, tmp_path / "etc", "localhost", "dashboard"], check=True, capture_output=True)
    context = browser.new_context(ignore_https_errors=True, locale="en-GB")
    page = context.new_page()
    with nginx_in_front(program, tmp_path, fleet.broker, tmp_path / "etc") as address:
        log_in(page, address, "page")
        expect(page.locator("dt", has_text="Broker").locator("+ dd")).to_have_text(
            f"{address}mqtt".replace("http", "ws")
        )
        headers = context.request.get(f"{address}dashboard.js").headers
        assert headers["content-type"] == "application/javascript; charset=utf-8"
        assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
        context.close()


def test_a_wrong_setting_beside_the_page_is_named_and_left_out(page: Page, mosquitto: str, tmp_path: Path) -> None:
    place = copied_page(tmp_path, broker="http://no", username="viewer", heartbeat_s=60)
    with dashboard_broker(mosquitto, tmp_path / "broker", [], page=place) as broker:
        page.goto(broker.address)
        expect(page.get_by_role("alert")).to_contain_text("config.json has something that is not understood: broker.")
        expect(page.get_by_label("User name")).to_have_value("viewer")
        expect(page.get_by_label("Address of the broker")).to_have_value(f"ws://127.0.0.1:{broker.page_port}/mqtt")
