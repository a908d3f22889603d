"""The message catalogue: the texts for people, in each language.

One JSON file of flat keys per language, ``web/assets/locales/{language}.json``, is used by the microscope page and for
everything that is written on the device. A text may have ``{placeholders}``; a key with a number ends in ``.one`` or
``.other``. A text that a language lacks is in English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

FALLBACK = "en"

_LOCALES = resources.files("edge_agent") / "web" / "assets" / "locales"
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Catalogue:
    """The texts of one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self._texts = texts

    def text(self, key: str, **values: str | int) -> str:
        """The text with its placeholders filled in. ``KeyError`` if no language has it, or a value is missing."""
        return _PLACEHOLDER.sub(lambda found: str(values[found.group(1)]), self._texts[key])

    def find(self, key: str) -> str | None:
        """The text without placeholders; None if there is none."""
        return self._texts.get(key)

    def counted(self, key: str, count: int) -> str:
        """The text for a number of things, which it gets as ``{count}``."""
        return self.text(f"{key}.{'one' if count == 1 else 'other'}", count=count)

    def number(self, value: float, decimals: int) -> str:
        """A number as the language writes it."""
        return f"{value:.{decimals}f}".replace(".", self.text("number.decimal_mark"))

    def percent(self, ratio: float) -> str:
        """A ratio in per cent, without the sign, to a tenth."""
        return self.number(100 * ratio, 1)


def languages() -> tuple[str, ...]:
    """The available languages, English first."""
    found = sorted(file.name.removesuffix(".json") for file in _LOCALES.iterdir() if file.name.endswith(".json"))
    return (FALLBACK, *(language for language in found if language != FALLBACK))


def placeholders(text: str) -> set[str]:
    """Names of the placeholders of a text."""
    return set(_PLACEHOLDER.findall(text))


def read_texts(language: str) -> dict[str, str]:
    """The texts in a language's own file."""
    texts: dict[str, str] = json.loads((_LOCALES / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def catalogue(language: str = FALLBACK) -> Catalogue:
    """The catalogue of a language, such as ``de`` or ``de-AT``; the English one if there is no such language."""
    wanted = language.lower().replace("_", "-").split("-")[0]
    return _load(wanted if wanted in languages() else FALLBACK)


@cache
def _load(language: str) -> Catalogue:
    return Catalogue(language, {**read_texts(FALLBACK), **read_texts(language)})
