from __future__ import annotations

import pytest

from edge_agent.cli.terminal import errors, output, print_error
from edge_agent.errors import FileUnusable


def test_the_bytes_of_a_fingerprint_are_not_taken_for_the_name_of_an_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    output.print("4D:CD:98", markup=False)
    errors.print("4D:CD:98", markup=False)
    print_error(FileUnusable("4D:CD:98"))
    captured = capsys.readouterr()
    assert "4D:CD:98" in captured.out
    assert captured.err.count("4D:CD:98") == 2
