"""``make faults``: the long runs, with their figures. Exits with 1 if anything was lost or grew."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge_agent.cli.local_broker import find_mosquitto, free_port, run_mosquitto
from tests.faults.edge_tpu import StallsReport, recoveries, stall_often
from tests.faults.fuzz import FuzzReport, fuzz
from tests.faults.fuzz_desired import DesiredFuzzReport, fuzz_desired
from tests.faults.rollout_kills import KillsReport, kill_everywhere
from tests.faults.soak import MAX_GROWTH_KB_PER_1000, SoakReport, soak
from tests.faults.storm import StormReport, storm
from tests.faults.torn_spool import TornReport, cut_everywhere, record

console = Console(soft_wrap=True, highlight=False)


def main(
    results: Annotated[int, typer.Option(min=1, help="Results delivered in the storm, at least.")] = 10_000,
    kills: Annotated[int, typer.Option(min=1, help="Kills of the agent in the storm.")] = 100,
    payloads: Annotated[int, typer.Option(min=1, help="Wrong payloads, on commands and on model/desired.")] = 100_000,
    readings: Annotated[int, typer.Option(min=100, help="Readings of the soak.")] = 100_000,
    stalls: Annotated[int, typer.Option(min=1, help="Stalls of an Edge TPU in a row.")] = 1000,
    cuts: Annotated[int, typer.Option(min=1, help="Power cuts between the writes of a spool.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the storm, and of the power cuts.")] = 1,
    out: Annotated[Path | None, typer.Option(help="File to write the figures to, as JSON.")] = None,
) -> None:
    """Power cuts, a storm, wrong commands, roll-outs, a soak, and an Edge TPU that stalls, one after the other."""
    mosquitto = find_mosquitto()
    if mosquitto is None or shutil.which("strace") is None:
        console.print("mosquitto or strace is not installed (apt-get install mosquitto strace)", style="red")
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory(prefix="leukoscope-cuts-") as folder:
        torn = cut_everywhere(record(Path(folder)), Path(folder, "cut"), cuts, seed)
    _show("Power cuts between writes", torn)
    with tempfile.TemporaryDirectory(prefix="leukoscope-storm-") as folder:
        stormed = storm(Path(folder), results_count=results, kills_count=kills, seed=seed)
    _show("Storm", stormed)
    port = free_port()
    with run_mosquitto(mosquitto, port):
        fuzzed = fuzz(port, payloads)
    _show("Wrong commands", fuzzed)
    port = free_port()
    with run_mosquitto(mosquitto, port):
        desired = fuzz_desired(port, payloads)
    _show("Wrong messages on model/desired", desired)
    with tempfile.TemporaryDirectory(prefix="leukoscope-rollout-") as folder:
        killed = kill_everywhere(Path(folder))
    _show("Kills of a roll-out", killed)
    with tempfile.TemporaryDirectory(prefix="leukoscope-soak-") as folder:
        soaked = soak(Path(folder), readings)
    _show("Soak", soaked)
    recovered = recoveries()
    console.print("Edge TPU, after a fault (without the pause)", style="bold")
    for each in recovered:
        console.print(f"  {each.fault:<26} back after {each.away_ms} ms; its picture took {each.picture_ms} ms")
    stalled = stall_often(stalls, hollow=True)
    _show("Edge TPU, stalls in a row", stalled)
    if out is not None:
        figures = {
            "torn_spool": asdict(torn),
            "storm": asdict(stormed),
            "wrong_commands": asdict(fuzzed),
            "wrong_desired": asdict(desired),
            "killed_rollouts": asdict(killed),
            "soak": asdict(soaked),
            "edge_tpu_recoveries": [asdict(each) for each in recovered],
            "edge_tpu_stalls": asdict(stalled),
        }
        out.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    if not (torn.well and _well(stormed, fuzzed, soaked, desired, killed, stalled)):
        raise typer.Exit(1)


def _show(
    title: str,
    report: TornReport | StormReport | FuzzReport | SoakReport | DesiredFuzzReport | KillsReport | StallsReport,
) -> None:
    console.print(title, style="bold")
    for name, value in asdict(report).items():
        if not isinstance(value, tuple):
            console.print(f"  {name:<26} {value}")


def _well(
    stormed: StormReport,
    fuzzed: FuzzReport,
    soaked: SoakReport,
    desired: DesiredFuzzReport,
    killed: KillsReport,
    stalled: StallsReport,
) -> bool:
    checks = {
        "results were lost": stormed.lost_count > 0,
        "sequence numbers have holes": stormed.holes_count > 0,
        "messages broke the contract": stormed.invalid_count > 0,
        "messages were refused or dropped": stormed.refused_count + stormed.dropped_count > 0,
        "commands were not answered": fuzzed.answered_count != fuzzed.sent_count,
        "messages on model/desired were not refused": desired.refused_count != desired.sent_count,
        "a kill of a roll-out did not end well": bool(killed.wrong),
        "memory grows": soaked.growth_low_kb_per_1000 > MAX_GROWTH_KB_PER_1000,
        **dict.fromkeys((f"Edge TPU: {each}" for each in stalled.problems), True),
        "open files grow": soaked.files_last_count > soaked.files_first_count,
    }
    for what, bad in checks.items():
        if bad:
            console.print(f"FAIL: {what}", style="red")
    return not any(checks.values())


if __name__ == "__main__":
    typer.run(main)
