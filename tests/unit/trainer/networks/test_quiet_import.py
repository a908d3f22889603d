from __future__ import annotations

import os

import pytest

from trainer.networks.quiet_import import _native_stderr_kept_back


def test_native_messages_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    with _native_stderr_kept_back():
        os.write(2, b"a note on the processor\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_native_messages_are_shown_where_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with _native_stderr_kept_back():
            os.write(2, b"the reason\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "the reason\n"
