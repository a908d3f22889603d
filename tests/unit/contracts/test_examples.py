"""Every shipped schema has examples, and other people's programs read schemas, examples and the AsyncAPI document."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from edge_agent.cli.schema import contract_files, write_contract
from edge_agent.config import Config
from edge_agent.contracts import MESSAGES, Calibration, CommandName, HeadManifest, Manifest
from tests.node_tools import PINNED, NodeTools

FILES = contract_files()
SCHEMAS = {
    name.removesuffix(".schema.json"): json.loads(text) for name, text in FILES.items() if name.endswith(".schema.json")
}
MODELS: dict[str, type[BaseModel]] = {
    "config": Config,
    "bundle-manifest": Manifest,
    "head-manifest": HeadManifest,
    "calibration": Calibration,
    **MESSAGES,
}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_has_examples_that_it_and_the_model_allow(name: str) -> None:
    examples = SCHEMAS[name]["examples"]
    assert examples
    for example in examples:
        Draft202012Validator(SCHEMAS[name], format_checker=Draft202012Validator.FORMAT_CHECKER).validate(example)
        MODELS[name].model_validate_json(json.dumps(example))


def test_asyncapis_own_parser_finds_nothing_wrong(node_tools: NodeTools, tmp_path: Path) -> None:
    write_contract(tmp_path)
    found = node_tools.run(PINNED / "parse_asyncapi.js", tmp_path / "asyncapi.json")
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    # Severities from 2 on are advice; 0 and 1 are errors and warnings.
    assert [each for each in document["diagnostics"] if each["severity"] < 2] == []
    assert {"last", "specimen", "result", *(f"command-{command}" for command in CommandName)} <= set(
        document["channels"]
    )
    assert {"sendLast", "sendSpecimen", "receiveModelDesired"} <= set(document["operations"])
    assert min(document["examples"]) > 0
    assert document["servers"] == [["broker", "mqtt", 1], ["encryptedBroker", "secure-mqtt", 2]]


def test_a_generator_makes_models_of_every_schema_that_read_the_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "generated_contract"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name, schema in SCHEMAS.items():
        module = name.replace("-", "_")
        generate(
            json.dumps(schema),
            input_file_type=InputFileType.JsonSchema,
            output=package / f"{module}.py",
            output_model_type=DataModelType.PydanticV2BaseModel,
            class_name="Root",
            formatters=[Formatter.BUILTIN],
        )
        root = importlib.import_module(f"generated_contract.{module}").Root
        for example in schema["examples"]:
            read = root.model_validate_json(json.dumps(example))
            # Every field was recognised: none is left over as an extra field.
            assert len(read.model_fields_set) == len(example)
            assert not read.model_extra
    for module in [name for name in sys.modules if name.startswith("generated_contract")]:
        del sys.modules[module]
