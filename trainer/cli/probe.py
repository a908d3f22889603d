"""``trainer probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import AlphaOption, DataOption, DescriptionOption, JsonOption, SeedOption, WeightsOption
from trainer.cli.output import results
from trainer.networks.quiet_import import import_keras


def probe(
    data: DataOption,
    table: Annotated[Path, typer.Option(help="CSV with path (relative to the CSV), label and group: the subject.")],
    weights: WeightsOption,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and for the features, which are reused.")],
    description: DescriptionOption = None,
    alpha: AlphaOption = "1.0",
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure how much too optimistic a random split is, on data whose subjects are known."""
    import_keras()
    from trainer.cli.dataset import read_described
    from trainer.data.description import load_description
    from trainer.evaluation.probe import check_subjects
    from trainer.evaluation.probe import probe as probe_features
    from trainer.evaluation.probe_features import cached_features, check_weights
    from trainer.files import check_output_folder, write_json
    from trainer.reports.probe_table import show_probe

    check_output_folder(out)
    check_subjects(data, load_description(description, data), table)
    check_weights(weights, float(alpha), out)
    described, dataset = read_described(data, description, table)
    features = cached_features(dataset, weights, float(alpha), out)
    found = probe_features(features, dataset, described, seed=seed)
    write_json(out / "probe.json", found)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_probe(found, results())
