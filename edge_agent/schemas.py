"""The JSON Schemas of the configuration, the bundle's manifest and every message."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from edge_agent.config import Config
from edge_agent.contracts import Info, Manifest, Result, Status

SCHEMAS: dict[str, type[BaseModel]] = {
    "config": Config,
    "bundle-manifest": Manifest,
    "info": Info,
    "result": Result,
    "status": Status,
}


def write_schemas(folder: Path) -> list[Path]:
    """Write one ``NAME.schema.json`` each into ``folder``, made if needed; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, model in SCHEMAS.items():
        path = folder / f"{name}.schema.json"
        # The configuration is what people write, all else what the device writes.
        schema = model.model_json_schema(mode="validation" if model is Config else "serialization")
        path.write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n")
        written.append(path)
    return written
