from __future__ import annotations

import subprocess
import sys

import pytest

from edge_agent.cli.app import Commands


@pytest.mark.parametrize("name", Commands.lazy)
def test_the_list_of_commands_says_what_the_command_itself_says(name: str) -> None:
    command = Commands.lazy[name]
    help_text = command.load(name).help
    assert help_text is not None
    assert " ".join(help_text.partition("\n\n")[0].split()) == command.summary


def test_listing_the_commands_loads_none_of_them() -> None:
    code = "import sys; from edge_agent.cli.app import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"cv2", "numpy", "paho.mqtt.client", "edge_agent.agent", "edge_agent.cli.demo"}
