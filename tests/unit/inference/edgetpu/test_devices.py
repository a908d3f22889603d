from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.inference.edgetpu.devices import EdgeTpuDevice, find_devices
from tests.edge_tpu.stand_in import FakeUsb


@pytest.mark.parametrize("ids", ["1a6e:089a", "18d1:9302"])
def test_an_edge_tpu_is_known_before_and_after_its_firmware_is_loaded(tmp_path: Path, ids: str) -> None:
    usb = FakeUsb(tmp_path)
    assert find_devices(tmp_path) == ()
    usb.plug_in(ids)
    assert find_devices(tmp_path) == (EdgeTpuDevice("2-1", slow=False),)
    usb.unplug()
    assert find_devices(tmp_path) == ()


def test_other_devices_are_none(tmp_path: Path) -> None:
    FakeUsb(tmp_path).plug_in("046d:0825")
    (tmp_path / "bus/usb/devices/usb1").mkdir()
    assert find_devices(tmp_path) == ()


def test_one_on_usb_2_is_said_to_be_slow(tmp_path: Path) -> None:
    FakeUsb(tmp_path).plug_in()
    (tmp_path / "bus/usb/devices/2-1/speed").write_text("480\n")
    (device,) = find_devices(tmp_path)
    assert device.slow
    assert str(device) == "on USB 2 at port 2-1"


def test_one_on_pcie_is_found_by_its_driver(tmp_path: Path) -> None:
    (tmp_path / "class/apex/apex_0").mkdir(parents=True)
    assert [str(each) for each in find_devices(tmp_path)] == ["on PCIe as apex_0"]


def test_a_computer_without_usb_has_none(tmp_path: Path) -> None:
    assert find_devices(tmp_path / "nowhere") == ()
