from __future__ import annotations

import pytest

from edge_agent.catalogue import catalogue, languages, placeholders, read_texts
from edge_agent.contracts import Reason

OTHERS = [language for language in languages() if language != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_fills_the_same_placeholders(language: str) -> None:
    english = read_texts("en")
    for key, text in read_texts(language).items():
        if key in english:
            assert placeholders(text) == placeholders(english[key]), key


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_every_text_of_a_report_and_no_other(language: str) -> None:
    def keys(of: str) -> set[str]:
        return {key for key in read_texts(of) if key.startswith(("report.", "number."))}

    assert keys(language) == keys("en")
    # The English words of a reason are in the contract.
    assert {f"reason.{reason.value}.sentence" for reason in Reason} <= read_texts(language).keys()


def test_an_unknown_language_is_english() -> None:
    assert catalogue("tlh").text("report.title") == catalogue("en").text("report.title")
    assert catalogue("../../../etc/passwd").language == "en"
    assert catalogue("").language == "en"


@pytest.mark.parametrize("code", ["de", "DE", "de-AT", "de_CH.UTF-8"])
def test_a_region_has_its_language(code: str) -> None:
    assert catalogue(code).language == "de"


def test_numbers_are_written_as_the_language_does() -> None:
    assert catalogue("en").percent(0.1234) == "12.3"
    assert catalogue("de").percent(0.1234) == "12,3"


def test_one_thing_is_not_several() -> None:
    assert catalogue("en").counted("report.fields", 1) == "1 field"
    assert catalogue("en").counted("report.fields", 0) == "0 fields"


def test_a_value_that_is_missing_is_a_mistake_and_not_a_text_with_braces() -> None:
    with pytest.raises(KeyError):
        catalogue("en").text("report.fields.one")
