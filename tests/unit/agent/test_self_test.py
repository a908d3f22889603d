import pytest

from edge_agent.agent.self_test import run_self_test
from edge_agent.contracts import Check, CheckState
from edge_agent.errors import BundleHashMismatch, ModelDrift

SPOOL = Check.from_error("spool", None)
UNKNOWN = Check(name="model", state=CheckState.UNKNOWN, code=None, message="Too few fields.", remedy=None)
DRIFT = Check.from_error("model", ModelDrift("The background is yellower."))


def damaged() -> None:
    raise BundleHashMismatch("model.tflite is not the file it was made with.")


@pytest.mark.parametrize(("drift", "state"), [(UNKNOWN, CheckState.OK), (DRIFT, DRIFT.state)])
def test_of_a_model_that_loads_drift_is_said_once_it_is_known(drift: Check, state: CheckState) -> None:
    model, *others = run_self_test(lambda: None, lambda: (SPOOL, drift))
    assert (model.name, model.state) == ("model", state)
    assert others == [SPOOL]


@pytest.mark.parametrize("drift", [UNKNOWN, DRIFT])
def test_a_model_that_cannot_be_loaded_is_said_before_any_drift(drift: Check) -> None:
    model, *others = run_self_test(damaged, lambda: (drift, SPOOL))
    assert model.code == "bundle_hash_mismatch"
    assert others == [SPOOL]
