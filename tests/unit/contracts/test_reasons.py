from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edge_agent.cli.schema import contract_files
from edge_agent.contracts import Reason

JARGON = re.compile(r"\b(threshold|coverage|segmentation|tenengrad|softmax|clipp|abstain|reject)")
DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_for_a_technician(reason: Reason) -> None:
    for words in (reason.sentence, reason.next_step):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9 ,.;'-]+\.", words), "plain text that begins and ends as sentences do"
        assert len(words) <= 110
        assert "_" not in words, "no code or setting"
        assert not re.search(
            r"\b(threshold|coverage|segmentation|tenengrad|softmax|clipp|abstain|reject)", words.lower()
        )
    assert reason.sentence.count(".") == 1


def test_no_two_reasons_say_the_same() -> None:
    assert len({reason.sentence for reason in Reason}) == len({reason.next_step for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_still_its_code(reason: Reason) -> None:
    assert Reason(reason.value) is reason
    assert json.loads(json.dumps({reason: reason})) == {reason.value: reason.value}
    assert f"{reason}" == reason.name.lower()


def test_the_schema_has_the_words_beside_each_code_and_allows_no_other_code() -> None:
    schema = json.loads(contract_files()["result.schema.json"])
    described = schema["$defs"]["Reason"]
    assert {option["const"]: option["description"] for option in described["oneOf"]} == {
        reason.value: f"{reason.sentence} {reason.next_step}" for reason in Reason
    }
    allowed = Draft202012Validator(described)
    assert all(allowed.is_valid(reason.value) for reason in Reason)
    assert not allowed.is_valid("tired")


def test_the_documentation_has_the_same_words() -> None:
    page = (DOCS / "using.md").read_text(encoding="utf-8")
    table = page.partition("| Reason | What the device saw | What to do |\n| --- | --- | --- |\n")[2].partition("\n\n")[
        0
    ]
    assert table.splitlines() == [f"| `{reason}` | {reason.sentence} | {reason.next_step} |" for reason in Reason]
