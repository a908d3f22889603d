"""Logging in on the page."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.scene import Readings, scene
from tests.browser.watching import locked
from tests.page_access import PASSWORDS


def test_a_password_opens_what_its_role_may_do(page: Page, readings: Readings, tmp_path: Path) -> None:
    with scene(readings, locked(tmp_path)) as made:
        made.moving.attach(page)
        page.goto(made.address)
        expect(page.locator("#page")).to_be_hidden()
        expect(page.locator("#notice")).to_be_visible()
        page.get_by_label("Password").fill("a wrong one")
        page.keyboard.press("Enter")
        expect(page.locator("#login-message [role=alert]")).to_have_text("This password is not known.")
        page.get_by_label("Password").fill(PASSWORDS["look"])
        page.keyboard.press("Enter")
        expect(page.locator("#device-name")).to_have_text("clinic / scope-1")
        expect(page.get_by_role("button", name="Read this field")).to_be_disabled()
        expect(page.locator(".actions .why")).to_contain_text("work with the device")
        page.locator("#nav-device").click()
        expect(page.locator("#session-role")).to_have_text("look")
        expect(page.get_by_role("button", name="Use this bundle")).to_be_disabled()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Self-test")).to_be_enabled()
        expect(page.get_by_role("button", name="Use this bundle")).to_be_disabled()


def test_too_many_attempts_say_how_long_to_wait(page: Page, readings: Readings, tmp_path: Path) -> None:
    with scene(readings, locked(tmp_path)) as made:
        page.goto(made.address)
        message = page.locator("#login-message")
        for _ in range(20):
            page.get_by_label("Password").fill("a wrong one")
            with page.expect_response("**/session"):
                page.keyboard.press("Enter")
            expect(message).not_to_be_empty()
            if "Too many" in message.inner_text():
                break
        expect(message).to_have_text(re.compile(r"Too many attempts\. Try again in [1-9][0-9,]* s\."))


def test_a_device_that_forgot_the_session_asks_for_the_password_again(
    page: Page, readings: Readings, tmp_path: Path
) -> None:
    with scene(readings, locked(tmp_path)) as made:
        made.moving.attach(page)
        page.goto(made.address)
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.locator("#device-name")).to_have_text("clinic / scope-1")
        made.server.stop()
        expect(page.get_by_test_id("banner-lost")).to_be_visible()
        made.server.start(made.device)
        expect(page.locator("#login")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORDS["work"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Read this field")).to_be_enabled()
