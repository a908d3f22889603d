"""What programs of dashboards may import, and that it needs nothing of a device."""

from __future__ import annotations

import subprocess
import sys

import edge_agent.client

EXPORTED = [
    "KINDS",
    "BrokerSettings",
    "Client",
    "Connection",
    "Counts",
    "Delivery",
    "Device",
    "Devices",
    "Fault",
    "Gap",
    "Message",
    "Presence",
    "Recorded",
    "ResultSequence",
    "Subscription",
    "TlsSettings",
    "Unreadable",
    "broker_settings",
    "parse",
    "read_recording",
]
HEAVY = {"ai_edge_litert", "alembic", "amqtt", "cv2", "numpy", "pyarrow", "rich", "sqlalchemy", "starlette", "typer"}


def test_the_exported_names_are_these_and_all_of_them_are_documented() -> None:
    assert edge_agent.client.__all__ == EXPORTED
    public = [getattr(edge_agent.client, name) for name in EXPORTED if name != "KINDS"]
    assert all(each.__doc__ for each in public)


def test_importing_it_loads_nothing_of_a_device_or_a_database() -> None:
    """It has to work where OpenCV cannot even be loaded."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['cv2', 'numpy', 'ai_edge_litert']))\n"
        f"import edge_agent.client; print({{name for name, found in sys.modules.items() if found}} & {HEAVY!r})\n"
        "print(*sorted(name for name in sys.modules if name.startswith('edge_agent.') and name.count('.') == 1))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, parts = done.stdout.splitlines()
    assert heavy == "set()"
    assert {part.removeprefix("edge_agent.") for part in parts.split()} <= {
        "client",
        "contracts",
        "credentials",
        "errors",
        "settings",
    }
