from __future__ import annotations

import io

import pytest
from rich.console import Console

from trainer import progress


def test_a_description_that_looks_like_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=shown, force_terminal=True, width=100, markup=False))
    assert list(progress.track([1, 2], "folder [/red] [a]")) == [1, 2]
    assert "folder [/red] [a]" in shown.getvalue()
