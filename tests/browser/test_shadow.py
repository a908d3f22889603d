"""Comparing a model with the one in use before it is chosen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from edge_agent.contracts import HeadIdentity, ModelIdentity, Percentiles, ShadowMetrics, Signature
from edge_agent.web.device import HeadOption, ModelOption, ShadowState
from tests.browser.scene import Scene
from tests.browser.watching import commands

FAST = ModelIdentity(name="fast", version="1.2.0", sha256="a" * 64, preprocessing="rgb@1", runtime="LiteRT 2")
HEAD = HeadOption(
    name="north",
    version="1.0.0",
    reference="north@1.0.0",
    demonstration=False,
    provisional=False,
    signature=Signature.UNSIGNED,
)
DONE: dict[str, object] = {"state": "done", "error": None}


def state(*, end: str | None = None, **changes: object) -> ShadowState:
    figures = ShadowMetrics(
        model=FAST,
        provisional=False,
        since=datetime.now(UTC),
        compared_count=120,
        unfit_count=4,
        agreeing_count=114,
        agreement_ratio=0.95,
        agreement_low_ratio=0.8952,
        agreement_high_ratio=0.9769,
        labels_comparable=True,
        both_classified_count=110,
        other_label_count=2,
        active_refused_count=6,
        candidate_refused_count=8,
        active_refusals_count={"unfamiliar": 6},
        candidate_refusals_count={"unfamiliar": 5, "low_confidence": 3},
        passed_over_count=31,
        failures_count=0,
        latency_ms=Percentiles(p50_ms=21.4, p95_ms=29.6, p99_ms=33.0, samples_count=120),
    )
    failure = "inference_failed: The model failed on a frame." if end == "failed" else None
    return ShadowState(figures=figures.model_copy(update=changes), end=end, last_failure=failure)


@pytest.fixture
def installed(made: Scene) -> Scene:
    made.device.changes["models"] = tuple(
        ModelOption(name=name, version="1.2.0", reference=name, demonstration=False, provisional=False, heads=heads)
        for name, heads in (("demo", ()), ("fast", (HEAD,)))
    )
    return made


def test_a_candidate_is_started_compared_and_put_to_use(page: Page, installed: Scene) -> None:
    device = installed.device
    device.answers["shadow-model"] = {**DONE, "data": {"shadow": FAST.model_dump(mode="json")}}
    device.answers["select-model"] = {**DONE, "data": {"model": "fast", "version": "1.2.0"}}
    installed.open(page, "device")
    expect(page.locator("#shadow")).to_be_hidden()
    page.locator("#model").select_option(label="fast 1.2.0")
    page.get_by_role("button", name="Let it judge in the shadow").click()
    expect(page.locator("#model-message")).to_have_text("fast 1.2.0 judges in the shadow.")
    device.changes["shadow"] = state()
    panel = page.get_by_role("region", name="In the shadow")
    expect(panel).to_contain_text("95.0% of 120 fields (between 89.5% and 97.7%)")
    expect(panel).to_contain_text("No label from the model in use6 of 120")
    expect(panel).to_contain_text("No label from the candidate8 of 120")
    expect(panel).to_contain_text("21 ms, at most 30 ms for 95 of 100")
    expect(panel).to_contain_text("Agreement is not accuracy")
    panel.get_by_role("button", name="Use it").click()
    expect(page.locator("#model-message")).to_have_text("fast 1.2.0 is in use.")
    sent = [(name, body.get("model")) for name, body in commands(installed)]
    assert sent == [("shadow-model", "fast"), ("select-model", "fast"), ("shadow-model", None)]


def test_a_head_is_started_and_used_by_what_it_is_called_here(page: Page, installed: Scene) -> None:
    identity = HeadIdentity(name="north", version="1.0.0", sha256="b" * 64, signature=Signature.UNSIGNED)
    model = FAST.model_copy(update={"head": identity})
    device = installed.device
    device.answers["shadow-model"] = {**DONE, "data": {"shadow": model.model_dump(mode="json")}}
    installed.open(page, "device")
    page.locator("#model").select_option(label="fast 1.2.0 + north 1.0.0")
    page.get_by_role("button", name="Let it judge in the shadow").click()
    expect(page.locator("#model-message")).to_have_text("north 1.0.0 (fast) judges in the shadow.")
    device.changes["shadow"] = state(model=model)
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#model-message")).to_have_text("north 1.0.0 (fast) is in use.")
    sent = [(name, body["model"], body.get("head")) for name, body in commands(installed)]
    assert sent == [
        ("shadow-model", "fast", "north@1.0.0"),
        ("select-model", "fast", "north@1.0.0"),
        ("shadow-model", None, None),
    ]


def test_a_comparison_can_be_stopped_and_its_end_is_explained(page: Page, installed: Scene) -> None:
    device = installed.device
    device.answers["shadow-model"] = {**DONE, "data": {"shadow": None}}
    device.changes["shadow"] = state(end="failed", failures_count=5)
    installed.open(page, "device")
    panel = page.get_by_role("region", name="In the shadow")
    expect(panel).to_contain_text("The candidate failed several times in a row and was ended. inference_failed")
    device.changes["shadow"] = state(labels_comparable=False, agreement_ratio=None)
    expect(panel).to_contain_text("no field compared yet")
    expect(panel).to_contain_text("only whether each gives a label is compared")
    panel.get_by_role("button", name="Stop comparing").click()
    expect(page.locator("#model-message")).to_have_text("The comparison has ended.")
    device.changes["shadow"] = None
    expect(panel).to_be_hidden()
    assert [(name, body.get("model", "")) for name, body in commands(installed)] == [("shadow-model", None)]


def test_a_choice_stays_while_the_state_comes_again_and_goes_once_another_model_is_in_use(
    page: Page, installed: Scene
) -> None:
    device = installed.device
    page.goto(f"{installed.address}#/device")
    page.locator("#model").select_option(label="fast 1.2.0")
    page.locator("#choose-model").focus()
    device.changes["readings_count"] = 4711
    expect(page.locator("#device-facts")).to_contain_text("4,711")
    expect(page.locator("#model option:checked")).to_contain_text("fast 1.2.0")
