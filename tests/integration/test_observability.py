"""The shipped dashboards, alerts and configurations, read by the programs that they are for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg
import pytest
import yaml
from sqlalchemy import Engine
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port
from edge_agent.client.messages import Message
from edge_agent.collector.database import open_database
from edge_agent.collector.exporter.endpoint import Exporter
from edge_agent.collector.exporter.fleet import Fleet
from edge_agent.collector.exporter.settings import ExporterSettings
from edge_agent.collector.figures import Figures
from edge_agent.collector.schema import migrate
from edge_agent.collector.settings import DatabaseSettings
from tests.postgres import run_postgres
from tests.unit.collector.test_exporter import CHECKS, INFO, SITE, health, metrics, status

REPOSITORY = Path(__file__).resolve().parents[2]
GRAFANA = REPOSITORY / "deploy/grafana"
PROMETHEUS = REPOSITORY / "deploy/prometheus"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))

PATIENCE_S = 60.0

MACROS: dict[str, str] = {
    r"\$__timeFilter\((?P<a>[^()]+)\)": r"\g<a> BETWEEN '2026-11-01T00:00:00Z' AND '2026-12-01T00:00:00Z'",
    r"\$__timeGroup\((?P<a>[^(),]+),\s*'?\$__interval'?\)": r"floor(extract(epoch from \g<a>)/300)*300",
    r"\$__timeGroup\((?P<a>[^(),]+),\s*'1d'\)": r"floor(extract(epoch from \g<a>)/86400)*86400",
    r"\$(site|device)\b": "'north-clinic','scope-1'",
}
"""The expansions of its PostgreSQL data source according to Grafana's documentation.

A variable with several values becomes a quoted list."""


def panels(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["panels"])


def queries(key: str) -> list[str]:
    return [
        target[key] for path in DASHBOARDS for panel in panels(path) for target in panel["targets"] if key in target
    ]


def variable_queries(kind: str) -> list[str]:
    return [
        variable["query"]
        for path in DASHBOARDS
        for variable in json.loads(path.read_text(encoding="utf-8"))["templating"].get("list", ())
        if variable["datasource"]["type"] == kind
    ]


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=PROMETHEUS, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dashboards_are_those_that_the_program_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, GRAFANA / "make_dashboards.py", tmp_path], check=True, timeout=60)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/leukoscope.yml").read_text(encoding="utf-8"))
    sources = {(each["type"], each["uid"]) for each in provisioned["datasources"]}
    assert "Research use only" in content["description"]
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    for panel in content["panels"]:
        assert panel["targets"]
        assert (panel["datasource"]["type"], panel["datasource"]["uid"]) in sources
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    said = promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in said
    promtool("check", "rules", "leukoscope.rules.yml")


def test_every_alert_is_tested_and_documented() -> None:
    cases = ("leukoscope.rules.test.yml", "leukoscope.idle.test.yml")
    promtool("test", "rules", *cases)
    rules = yaml.safe_load((PROMETHEUS / "leukoscope.rules.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    told = {
        (case["alertname"], bool(case["exp_alerts"]))
        for name in cases
        for each in yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))["tests"]
        for case in each["alert_rule_test"]
    }
    assert told == {(alert, fires) for alert in alerts for fires in (True, False)}
    page = (REPOSITORY / "docs/observability.md").read_text(encoding="utf-8")
    assert {alert for alert in alerts if f"### {alert}" not in page} == set()


class RealPrometheus:
    """Debian's Prometheus with the shipped files; only its targets belong to the test."""

    def __init__(self, folder: Path, target: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("prometheus is not installed (apt-get install prometheus)")
        for name in ("prometheus.yml", "leukoscope.rules.yml"):
            text = (PROMETHEUS / name).read_text(encoding="utf-8")
            (folder / name).write_text(text.replace("_interval: 15s", "_interval: 1s"), encoding="utf-8")
        (folder / "targets").mkdir()
        (folder / "targets/collectors.yml").write_text(f'- targets: ["{target}"]\n', encoding="utf-8")
        self.address = f"http://127.0.0.1:{(port := free_port())}"
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Query Prometheus; fails the test if Prometheus does not understand the expression."""
        with urlopen(f"{self.address}/api/v1/query?{urlencode({'query': expression})}", timeout=10) as answer:  # noqa: S310 - the test's own server
            content = json.loads(answer.read())
        assert content["status"] == "success"
        return list(content["data"]["result"])

    def until(self, is_so: Callable[[], object]) -> None:
        """Prometheus does not report its scrapes, so ask it again and again."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if is_so():
                    return
            except (URLError, ConnectionError):
                assert self._process.poll() is None, "Prometheus ended"
            assert time.monotonic() < until
            time.sleep(0.2)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


def busy_fleet() -> tuple[Fleet, Figures]:
    """A fleet with values in every family."""
    fleet, figures = Fleet(), Figures()
    machine = metrics().machine.model_copy(update={"cpu_temperature_c": 48.5})
    for body in (status(), INFO, metrics(machine=machine), health(*CHECKS)):
        fleet.take(Message(SITE, "scope-1", "any", body))
    figures.received_count["result"] = figures.stored_count["results"] = figures.unreadable_count["damaged"] = 1
    figures.behind_s, figures.committed_at = 0.1, datetime.now(UTC)
    figures.batch_seconds.observe(0.02)
    return fleet, figures


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    port = free_port()
    fleet, figures = busy_fleet()
    exporter = Exporter(ExporterSettings(port=port), figures, fleet, "collector-1")
    server = RealPrometheus(tmp_path_factory.mktemp("prometheus"), f"127.0.0.1:{port}")
    try:
        server.until(lambda: server.ask("leukoscope:devices:count") and server.ask("count_over_time(up[1m]) > 2"))
        yield server
    finally:
        server.stop()
        exporter.stop()


def expand(expression: str) -> str:
    """Replace Grafana's own variables as it does."""
    for variable, value in (("$__rate_interval", "1m"), ("$__interval", "15s"), ("$site", ".+"), ("$device", ".+")):
        expression = expression.replace(variable, value)
    return expression


def test_no_panel_or_rule_names_a_metric_that_does_not_exist(prometheus: RealPrometheus) -> None:
    rules = yaml.safe_load((PROMETHEUS / "leukoscope.rules.yml").read_text(encoding="utf-8"))
    written = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    shown = [expand(expression) for expression in queries("expr")]
    assert len(shown) > 30
    listed = {
        name
        for expression in (*written, *shown, *variable_queries("prometheus"))
        for name in re.findall(r"\bleukoscope[a-z0-9_:]+", expression)
    }
    for expression in (*written, *shown):
        prometheus.ask(expression)
    names = {result["metric"]["__name__"] for result in prometheus.ask('{__name__=~"leukoscope.*|up"}')}
    # Recorded series need an hour of readings.
    assert listed - names - {"leukoscope:refused:ratio1h", "leukoscope:readings:rate5m"} == set()


def test_prometheus_can_read_the_collector_without_complaint(prometheus: RealPrometheus) -> None:
    assert [result["value"][1] for result in prometheus.ask("up")] == ["1"]
    [state] = prometheus.ask('leukoscope_device_state{site="north-clinic", state="ready"}')
    assert state["value"][1] == "1"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with run_postgres("fsync=off") as server:
        address = server.database()
        engine: Engine = open_database(DatabaseSettings(url=address))
        migrate(engine)
        engine.dispose()
        yield address


def test_every_query_of_the_history_runs_on_the_collector_s_tables(database: str) -> None:
    asked = [*queries("rawSql"), *variable_queries("grafana-postgresql-datasource")]
    assert len(asked) >= 10
    with psycopg.connect(database, autocommit=True) as connection:
        _store_a_few(connection)
        for query in asked:
            expanded = query
            for macro, meant in MACROS.items():
                expanded = re.sub(macro, meant, expanded)
            assert "$" not in expanded, expanded
            found = connection.execute(expanded)
            assert found.fetchall(), f"nothing found by {query}"


def _store_a_few(connection: psycopg.Connection[Any]) -> None:
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    rows = {
        "devices": {"site": "north-clinic", "device": "scope-1", "updated_at": at},
        "events": {
            "at": at,
            "session": "0" * 32,
            "received_at": at,
            "replayed": False,
            "kind": "started",
            "message": "It has started.",
            "details": "{}",
            "payload": "{}",
        },
        "reports": {
            "session": "0" * 32,
            "received_at": at,
            "replayed": False,
            "demonstration": False,
            "provisional": True,
            "specimen": "s-1",
            "slide": 1,
            "began_at": at,
            "finished_at": at,
            "readings_count": 2,
            "malignant_count": 0,
            "outcomes_count": "{}",
            "labels_count": "{}",
            "payload": "{}",
        },
    }
    result = {
        "camera": "camera0",
        "session": "0" * 32,
        "received_at": at + timedelta(seconds=1),
        "replayed": False,
        "demonstration": False,
        "provisional": True,
        "specimen": "s-1",
        "slide": 1,
        "latency_total_ms": 80.0,
        "latency_ms": "{}",
        "model_name": "m",
        "model_version": "1",
        "model_sha256": "0",
        "software": "s",
        "payload": "{}",
    }
    insert(connection, "results", result | {"seq": 1, "captured_at": at, "outcome": "classified", "label": "benign"})
    insert(connection, "results", result | {"seq": 2, "captured_at": at, "outcome": "rejected", "reason": "too_dark"})
    for table, row in rows.items():
        insert(connection, table, row)


def insert(connection: psycopg.Connection[Any], table: str, row: dict[str, Any]) -> None:
    if table != "devices":
        row = row | {"id": uuid7(), "site": "north-clinic", "device": "scope-1"}
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))  # noqa: S608 - names of the test's own
