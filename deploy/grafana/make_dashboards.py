"""Writes the dashboards: ``python deploy/grafana/make_dashboards.py [FOLDER]``. A test holds that the files are these.

Needs grafana-foundation-sdk. Every figure of Prometheus is reduced to one per device first, since a device may be seen
at its own endpoint and at several collectors.
"""

# ruff: noqa: INP001 - a program of its own, in no package
# ruff: noqa: S608 - the queries are written here; their variables are filled in by Grafana
from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef("prometheus", "leukoscope-prometheus")
POSTGRESQL = DataSourceRef("grafana-postgresql-datasource", "leukoscope-postgresql")
NOTICE = "Research use only: not for diagnosis."
CHOSEN = 'site=~"$site", device=~"$device"'
OF_DEVICE = "site IN ($site) AND device IN ($device)"
REACHED = "max by (site, device)"
RATE_OF_READINGS = "rate(leukoscope_readings_total[$__rate_interval])"
RUNNING = "max by (site, device, software, model, model_version)"


def summed(function: str, metric: str, window: str, label: str) -> str:
    """A counter's rate or increase by ``label``, each device counted once. ``metric`` may select."""
    return f"sum by ({label}) (max by (site, device, {label}) ({function}(leukoscope_{metric}[{window}])))"


class Sql(Dataquery):
    """A query of Grafana's PostgreSQL data source. The SDK has no builder for it."""

    def __init__(self, sql: str, *, is_series: bool) -> None:
        self._sql, self._format = sql, "time_series" if is_series else "table"

    def build(self) -> Sql:
        """Itself: the SDK asks for it."""
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana stores it."""
        datasource = {"type": POSTGRESQL.type_val, "uid": POSTGRESQL.uid}
        return {
            "datasource": datasource,
            "editorMode": "code",
            "format": self._format,
            "rawQuery": True,
            "rawSql": self._sql,
            "refId": "A",
        }


def series(title: str, unit: str, *queries: tuple[str, str], width: int = 12) -> timeseries.Panel:
    """Lines over time from Prometheus: expressions with their legends."""
    panel = timeseries.Panel().title(title).unit(unit).span(width).height(8).datasource(PROMETHEUS)
    for number, (expression, legend) in enumerate(queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[number]).range()
        panel = panel.with_target(query)
    return panel


def figure(title: str, unit: str, expression: str, width: int = 4) -> stat.Panel:
    """One number of now."""
    query = prometheus.Dataquery().expr(expression).instant().ref_id("A")
    return (
        stat.Panel()
        .title(title)
        .unit(unit)
        .span(width)
        .height(4)
        .datasource(PROMETHEUS)
        .with_target(query)
        .no_value("0")
    )


def listing(title: str, expression: str, width: int = 12) -> table.Panel:
    """A table of what Prometheus has now."""
    query = prometheus.Dataquery().expr(expression).instant().format(PromQueryFormat.TABLE).ref_id("A")
    return table.Panel().title(title).span(width).height(8).datasource(PROMETHEUS).with_target(query)


def sql_series(title: str, unit: str, sql: str, width: int = 12) -> timeseries.Panel:
    """Lines over time from the database."""
    panel = timeseries.Panel().title(title).unit(unit).span(width).height(8).datasource(POSTGRESQL)
    return panel.with_target(Sql(sql, is_series=True))


def sql_table(title: str, sql: str, width: int = 12) -> table.Panel:
    """A table from the database."""
    panel = table.Panel().title(title).span(width).height(9).datasource(POSTGRESQL)
    return panel.with_target(Sql(sql, is_series=False))


def dashboard(
    uid: str, title: str, panels: Iterable[Any], *, since: str = "now-6h", chooses: str | None = None
) -> dict[str, Any]:
    """A dashboard; ``chooses`` is where its list of sites and devices comes from."""
    made = (
        build.Dashboard(title)
        .uid(uid)
        .description(NOTICE)
        .tags(["leukoscope"])
        .refresh("1m")
        .time(since, "now")
        .timezone("browser")
        .readonly()
    )
    for name, query in _variables(chooses):
        source = POSTGRESQL if chooses == "postgresql" else PROMETHEUS
        variable = (
            build.QueryVariable(name).query(query).datasource(source).multi(multi=True).include_all(include_all=True)
        )
        made = made.with_variable(variable.current({"text": "All", "value": "$__all"}))
    for number, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(number))
    content: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    for panel in content["panels"]:
        # The SDK writes null for a panel whose options are all the default.
        panel["options"] = panel["options"] or {}
    for variable in content["templating"].get("list", ()):
        variable.pop("id", None)
        variable["refresh"] = 2
    return content


def _variables(chooses: str | None) -> tuple[tuple[str, str], ...]:
    match chooses:
        case "prometheus":
            return (
                ("site", "label_values(leukoscope_device_state, site)"),
                ("device", 'label_values(leukoscope_device_state{site=~"$site"}, device)'),
            )
        case "postgresql":
            return (
                ("site", "SELECT DISTINCT site FROM devices ORDER BY 1"),
                ("device", "SELECT DISTINCT device FROM devices WHERE site IN ($site) ORDER BY 1"),
            )
        case _:
            return ()


def _in_state(states: str) -> str:
    return f'sum(max by (site, device, state) (leukoscope_device_state{{state=~"{states}"}})) or vector(0)'


def fleet() -> dict[str, Any]:
    """All sites."""
    return dashboard(
        "leukoscope-fleet",
        "Leukoscope: the fleet",
        (
            figure("Devices", "none", _in_state(".+")),
            figure("Ready", "none", _in_state("ready")),
            figure("Degraded", "none", _in_state("degraded")),
            figure("Lost or silent", "none", _in_state("lost|silent")),
            figure(
                "Readings in 24 h",
                "none",
                f"sum({summed('increase', 'readings_total', '24h', 'outcome')})",
            ),
            figure("Messages waiting", "none", f"sum({REACHED} (leukoscope_spool_waiting_messages))"),
            listing(
                "Needs a person",
                'max by (site, device, state) (leukoscope_device_state{state=~"degraded|lost|silent"}) == 1',
            ),
            listing("Failing checks", "max by (site, device, check, code) (leukoscope_check_ok == bool 0) == 1"),
            series(
                "Readings by site",
                "cps",
                (
                    f"sum by (site) (max by (site, device, outcome) ({RATE_OF_READINGS}))",
                    "{{site}}",
                ),
            ),
            series(
                "Refusals by reason",
                "cps",
                (
                    summed("rate", "refusals_total", "$__rate_interval", "reason"),
                    "{{reason}}",
                ),
            ),
            series("Devices by state", "none", ("sum by (state) (leukoscope:devices:count)", "{{state}}")),
            series(
                "Slowest devices, 99th percentile",
                "s",
                (
                    f'topk(10, {REACHED} (leukoscope_latency_seconds{{stage="total", percentile="99"}}))',
                    "{{site}}/{{device}}",
                ),
            ),
        ),
    )


def device() -> dict[str, Any]:
    """One device, or a few."""
    name = "{{site}}/{{device}}"
    return dashboard(
        "leukoscope-device",
        "Leukoscope: a device",
        (
            listing("State", f"max by (site, device, state) (leukoscope_device_state{{{CHOSEN}}}) == 1", 8),
            listing("Checks", f"max by (site, device, check, code) (leukoscope_check_ok{{{CHOSEN}}})", 8),
            listing(
                "Software and model",
                f"{RUNNING} (leukoscope_device_info{{{CHOSEN}}})",
                8,
            ),
            series(
                "Time since the last heartbeat",
                "s",
                (f"min by (site, device) (leukoscope_device_heartbeat_age_seconds{{{CHOSEN}}})", name),
            ),
            series(
                "Readings by outcome",
                "cps",
                (
                    summed("rate", f"readings_total{{{CHOSEN}}}", "$__rate_interval", "outcome"),
                    "{{outcome}}",
                ),
            ),
            series(
                "Labels",
                "cps",
                (
                    summed("rate", f"labels_total{{{CHOSEN}}}", "$__rate_interval", "label"),
                    "{{label}}",
                ),
            ),
            series("Refused in the last hour", "percentunit", (f"leukoscope:refused:ratio1h{{{CHOSEN}}}", name)),
            series(
                "Latency",
                "s",
                (
                    f'max by (stage, percentile) (leukoscope_latency_seconds{{{CHOSEN}, stage="total"}})',
                    "{{stage}} p{{percentile}}",
                ),
            ),
            series(
                "Waiting for the broker",
                "none",
                (f"{REACHED} (leukoscope_spool_waiting_messages{{{CHOSEN}}})", name),
                (f"{REACHED} (leukoscope_spool_quarantined_messages{{{CHOSEN}}})", f"{name} quarantined"),
            ),
            series(
                "Age of the oldest that waits",
                "s",
                (f"{REACHED} (leukoscope_spool_oldest_age_seconds{{{CHOSEN}}})", name),
            ),
            series(
                "Temperature", "celsius", (f"{REACHED} (leukoscope_machine_cpu_temperature_celsius{{{CHOSEN}}})", name)
            ),
            series("Processor", "percentunit", (f"{REACHED} (leukoscope_machine_cpu_use_ratio{{{CHOSEN}}})", name)),
            series(
                "Memory of the agent", "bytes", (f"{REACHED} (leukoscope_machine_resident_bytes{{{CHOSEN}}})", name)
            ),
            series(
                "Free disk", "bytes", (f"min by (site, device) (leukoscope_machine_disk_free_bytes{{{CHOSEN}}})", name)
            ),
        ),
        chooses="prometheus",
    )


def laboratory() -> dict[str, Any]:
    """The history in the database."""
    day = "$__timeGroup(captured_at, '1d')"
    of_results = f"$__timeFilter(captured_at) AND {OF_DEVICE} AND NOT demonstration"
    return dashboard(
        "leukoscope-laboratory",
        "Leukoscope: the laboratory's history",
        (
            sql_series(
                "Outcomes per day",
                "none",
                f"SELECT {day} AS time, outcome AS metric, count(*) AS readings FROM results "
                f"WHERE {of_results} GROUP BY 1, 2 ORDER BY 1, 2",
            ),
            sql_series(
                "Refusals per day, by reason",
                "none",
                f"SELECT {day} AS time, coalesce(reason, error_code, 'unknown') AS metric, count(*) AS readings "
                "FROM results "
                f"WHERE {of_results} AND outcome <> 'classified' GROUP BY 1, 2 ORDER BY 1, 2",
            ),
            sql_series(
                "Latency",
                "ms",
                "SELECT $__timeGroup(captured_at, $__interval) AS time, "
                "percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_total_ms) AS p50, "
                "percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_total_ms) AS p99 "
                f"FROM results WHERE {of_results} AND latency_total_ms IS NOT NULL GROUP BY 1 ORDER BY 1",
            ),
            sql_series(
                "Labels per day",
                "none",
                f"SELECT {day} AS time, label AS metric, count(*) AS readings FROM results "
                f"WHERE {of_results} AND label IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
            ),
            sql_series(
                "From capture to receipt",
                "s",
                "SELECT $__timeGroup(captured_at, $__interval) AS time, "
                "max(extract(epoch FROM received_at - captured_at)) AS longest "
                f"FROM results WHERE {of_results} GROUP BY 1 ORDER BY 1",
            ),
            sql_series(
                "Events per day, by kind",
                "none",
                "SELECT $__timeGroup(at, '1d') AS time, kind AS metric, count(*) AS events FROM events "
                f"WHERE $__timeFilter(at) AND {OF_DEVICE} GROUP BY 1, 2 ORDER BY 1, 2",
            ),
            sql_table(
                "Refusals by reason",
                "SELECT coalesce(reason, error_code, 'unknown') AS reason, outcome, count(*) AS readings, "
                "count(DISTINCT (site, device)) AS devices "
                f"FROM results WHERE {of_results} AND outcome <> 'classified' GROUP BY 1, 2 ORDER BY 3 DESC",
            ),
            sql_table(
                "Specimens",
                "SELECT site, specimen, slide, min(captured_at) AS first, max(captured_at) AS last, "
                "count(*) AS readings, count(*) FILTER (WHERE outcome = 'classified') AS classified, "
                "count(*) FILTER (WHERE malignant) AS malignant "
                f"FROM results WHERE {of_results} AND specimen IS NOT NULL AND repeats_field IS NULL "
                "GROUP BY site, specimen, slide ORDER BY last DESC LIMIT 200",
            ),
            sql_table(
                "Reports",
                "SELECT finished_at, site, device, specimen, slide, readings_count, judged_count, malignant_count, "
                "malignant_ratio, low_ratio, high_ratio, provisional FROM reports "
                f"WHERE $__timeFilter(finished_at) AND {OF_DEVICE} AND NOT demonstration "
                "ORDER BY finished_at DESC LIMIT 200",
                24,
            ),
            sql_table(
                "Newest events",
                "SELECT at, site, device, kind, code, message FROM events "
                f"WHERE $__timeFilter(at) AND {OF_DEVICE} ORDER BY at DESC LIMIT 200",
                24,
            ),
        ),
        since="now-30d",
        chooses="postgresql",
    )


def collector() -> dict[str, Any]:
    """The collectors themselves."""
    base = "leukoscope_collector"
    return dashboard(
        "leukoscope-collector",
        "Leukoscope: the collectors",
        (
            series(
                "Received, by kind",
                "cps",
                (f"sum by (kind) (rate({base}_received_messages_total[$__rate_interval]))", "{{kind}}"),
            ),
            series(
                "Stored, by table",
                "cps",
                (f"sum by (table) (rate({base}_stored_rows_total[$__rate_interval]))", "{{table}}"),
            ),
            series(
                "Acknowledged", "cps", (f"rate({base}_acknowledged_messages_total[$__rate_interval])", "{{instance}}")
            ),
            series(
                "Unreadable, by fault",
                "cps",
                (f"sum by (fault) (rate({base}_unreadable_messages_total[$__rate_interval]))", "{{fault}}"),
            ),
            series("Behind", "s", (f"{base}_behind_seconds", "{{instance}}")),
            series("Waiting to be stored", "none", (f"{base}_waiting_messages", "{{instance}}")),
            series(
                "Time per batch",
                "s",
                (f"histogram_quantile(0.5, sum by (le) (rate({base}_batch_seconds_bucket[$__rate_interval])))", "p50"),
                (f"histogram_quantile(0.99, sum by (le) (rate({base}_batch_seconds_bucket[$__rate_interval])))", "p99"),
            ),
            series(
                "Faults",
                "cps",
                (f"rate({base}_failed_writes_total[$__rate_interval])", "{{instance}} failed writes"),
                (f"rate({base}_repeated_messages_total[$__rate_interval])", "{{instance}} came twice"),
                (f"rate({base}_dropped_messages_total[$__rate_interval])", "{{instance}} dropped metrics"),
                (f"rate({base}_ignored_messages_total[$__rate_interval])", "{{instance}} too many devices"),
            ),
            series(
                "Database and broker",
                "none",
                (f"{base}_database_up", "{{instance}} database"),
                (f"{base}_broker_up", "{{instance}} broker"),
            ),
            series("Since the last commit", "s", (f"time() - {base}_last_commit_timestamp_seconds", "{{instance}}")),
            listing("Collectors", f"max by (instance, collector, software) ({base}_info)"),
            series("Running for", "s", (f"time() - {base}_start_time_seconds", "{{instance}}")),
        ),
    )


DASHBOARDS = {"fleet": fleet, "device": device, "laboratory": laboratory, "collector": collector}


def main(folder: Path) -> None:
    """Write all of them."""
    for name, make in DASHBOARDS.items():
        content = json.dumps(make(), indent=1, sort_keys=True)
        (folder / f"{name}.json").write_text(f"{content}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "dashboards")
