"""Trees of sysfs and answers of vcgencmd as on a Raspberry Pi 4 and 5."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.monitoring import throttling
from edge_agent.monitoring.throttling import read_throttling

PI_4 = "devices/platform/soc/soc:firmware/get_throttled"
PI_5 = "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


class Board:
    """Folders and programs in place of a board's."""

    def __init__(self, folder: Path) -> None:
        self.sys = folder / "sys"
        self.mailbox = folder / "vcio"
        self.programs = folder / "bin"
        self.calls = folder / "calls"
        self.programs.mkdir()

    def word(self, place: str, text: str) -> None:
        path = self.sys / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def voltage_sensor(self, alarm: str) -> None:
        for number, name in enumerate(("cpu_thermal", "pwmfan", "rpi_volt")):
            self.word(f"class/hwmon/hwmon{number}/name", f"{name}\n")
        self.word("class/hwmon/hwmon2/in0_lcrit_alarm", alarm)

    def vcgencmd(self, prints: str, status: int = 0) -> None:
        self.mailbox.touch()
        program = self.programs / "vcgencmd"
        program.write_text(f"#!/bin/sh\necho $@ >>{self.calls}\nprintf '{prints}'\nexit {status}\n")
        program.chmod(0o755)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    board = Board(tmp_path)
    monkeypatch.setattr(throttling, "SYS", board.sys)
    monkeypatch.setattr(throttling, "MAILBOX", board.mailbox)
    monkeypatch.setenv("PATH", str(board.programs))
    return board


@pytest.mark.parametrize(
    ("word", "flags"),
    [
        ("0\n", ()),
        ("0x0\n", ()),
        ("50005\n", ("under_voltage", "throttled", "under_voltage_occurred", "throttled_occurred")),
        ("20000\n", ("frequency_capped_occurred",)),
        ("80008\n", ("soft_temperature_limit", "soft_temperature_limit_occurred")),
    ],
    ids=["well", "with-prefix", "weak-supply", "capped-before", "warm"],
)
@pytest.mark.parametrize("place", [PI_4, PI_5], ids=["pi4", "with-an-address"])
def test_the_kernels_word_is_taken_apart(board: Board, place: str, word: str, flags: tuple[str, ...]) -> None:
    board.word(place, word)
    assert read_throttling() == flags


def test_no_program_is_started_where_the_kernel_knows_the_word(board: Board) -> None:
    board.word(PI_4, "0\n")
    board.vcgencmd("throttled=0x50005\\n")
    assert read_throttling() == ()
    assert not board.calls.exists()


def test_a_pi_5_is_asked_by_vcgencmd(board: Board) -> None:
    board.voltage_sensor("0\n")
    board.vcgencmd("throttled=0xe0006\\n")
    occurred = ("frequency_capped_occurred", "throttled_occurred", "soft_temperature_limit_occurred")
    assert read_throttling() == ("frequency_capped", "throttled", *occurred)
    assert board.calls.read_text() == "get_throttled\n"


def test_no_program_is_started_that_could_not_open_the_device(board: Board) -> None:
    board.vcgencmd("throttled=0x50005\\n")
    board.mailbox.unlink()
    assert read_throttling() is None
    assert not board.calls.exists()


@pytest.mark.parametrize(
    ("prints", "status"),
    [
        ("VCHI initialization failed\\n", 255),
        ('error=1 error_msg="Command not registered"\\n', 0),
        ("throttled=0x\\n", 0),
        ("", 0),
    ],
    ids=["no-rights", "unknown-to-the-firmware", "cut-off", "nothing"],
)
@pytest.mark.parametrize(("alarm", "flags"), [("1\n", ("under_voltage",)), ("0\n", ())], ids=["weak", "well"])
def test_without_the_word_the_kernel_still_reports_under_voltage(
    board: Board, prints: str, status: int, alarm: str, flags: tuple[str, ...]
) -> None:
    board.voltage_sensor(alarm)
    board.vcgencmd(prints, status)
    assert read_throttling() == flags


def test_a_computer_that_reports_nothing_is_not_called_well(board: Board) -> None:
    assert read_throttling() is None
    board.word(PI_4, "what?\n")
    board.word("class/hwmon/hwmon0/name", "coretemp\n")
    board.mailbox.touch()  # vcgencmd is not installed
    assert read_throttling() is None


@given(st.integers(0, 2**32 - 1))
def test_every_word_names_each_flag_at_most_once(tmp_path_factory: pytest.TempPathFactory, word: int) -> None:
    sys = tmp_path_factory.mktemp("sys")
    path = sys / PI_4
    path.parent.mkdir(parents=True)
    path.write_text(f"{word:x}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttling, "SYS", sys)
        found = read_throttling()
    assert found is not None
    assert len(set(found)) == len(found) == (word & 0xF).bit_count() + (word >> 16 & 0xF).bit_count()
