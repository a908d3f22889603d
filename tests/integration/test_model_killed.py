"""A process is killed at each step of an installation and of an activation, as by a power cut."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_agent.inference import shipped_bundles
from edge_agent.rollout import ModelSettings, ModelStore

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from edge_agent.errors import EdgeAgentError
from edge_agent.rollout import Activation, Choice, ModelKind, ModelSettings, ModelStore
from edge_agent.rollout.activation import RollBackReason

folder, source = Path(sys.argv[1]), Path(sys.argv[2])
CONFIGURED, A, B = Choice(bundle="demo"), Choice(bundle="a@1.0.0"), Choice(bundle="b@1.0.0")
STEPS = ("open", "mkdir", "rename", "replace", "fsync", "unlink", "rmdir", "chmod")


def run(work, last):
    # Kill this process at its step number ``last``. Its number of steps, if there are fewer.
    child = os.fork()
    if child == 0:
        count = 0

        def counted(original):
            def step(*arguments, **options):
                nonlocal count
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)
            return step

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def until_done(prepare, work, check):
    last = 1
    while True:
        prepare()
        status = run(work, last)
        check(last)
        if status == 0:
            return last - 1
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        last += 1


def install():
    ModelStore(folder, ModelSettings()).install(source)


def empty():
    import shutil
    shutil.rmtree(folder, ignore_errors=True)


def whole_or_not_there(last):
    store = ModelStore(folder, ModelSettings())
    assert not store.damaged(), (last, store.damaged())
    found = [each.reference for each in store.installed() if each.signature != "shipped"]
    assert found in ([], ["demo@9.0.0"]), (last, found)
    store.clean()
    assert not list(folder.glob(".incoming*")), last
    if last % 5 == 0:
        install()
        assert store.find(ModelKind.BUNDLE, "demo@9.0.0"), last


activation = Activation(folder)
one_of = []


def state(*choices):
    def check(last):
        found = Activation(folder).read()
        chosen = CONFIGURED if found is None else found.chosen
        assert chosen in choices, (last, chosen)
        # The file can be changed afterwards, and what was left is no obstacle and can be cleaned.
        Activation(folder).activate(B, CONFIGURED)
        assert Activation(folder).chosen(CONFIGURED) == B, last
        ModelStore(folder, ModelSettings()).clean()
        assert os.listdir(folder) == ["active.json"], last
    return check


def on_trial():
    empty()
    activation.confirm(activation.activate(A, CONFIGURED).id)
    activation.activate(B, CONFIGURED)


def started():
    on_trial()
    activation.begin(CONFIGURED)


def trial(last):
    # Whatever was killed, the next starts end with B on trial or A, and a second crash certainly with A.
    for _ in range(3):
        found = Activation(folder).begin(CONFIGURED)
    assert found.chosen == A and found.trial is None, (last, found)


def confirmed(last):
    found = Activation(folder).read()
    assert found.chosen == B, last
    if found.trial is not None:
        trial(last)


counts = {
    "install": until_done(empty, install, whole_or_not_there),
    "activate": until_done(empty, lambda: activation.activate(A, CONFIGURED), state(CONFIGURED, A)),
    "begin": until_done(on_trial, lambda: activation.begin(CONFIGURED), trial),
    "go back": until_done(started, lambda: activation.begin(CONFIGURED), trial),
    "confirm": until_done(started, lambda: activation.confirm(activation.read().id), confirmed),
    "roll back": until_done(on_trial, lambda: activation.roll_back(CONFIGURED, RollBackReason.FAILED), state(A, B)),
}
print(json.dumps(counts))
"""


def test_a_kill_at_any_step_leaves_the_model_before_or_the_new_one(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(shipped_bundles()["demo"], source)
    manifest = source / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": "9.0.0"}))
    # In memory if possible: it waits for the disk a thousand times, and a kill is the same anywhere.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, Path(folder) / "models", source],
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert min(counts.values()) >= 4, counts
    assert counts["install"] >= 30, counts


def test_an_installation_goes_on_where_a_killed_one_left_its_files(tmp_path: Path) -> None:
    """Even before the agent has started again and cleaned up."""
    store = ModelStore(tmp_path / "models", ModelSettings())
    (tmp_path / "models" / ".incoming-dead" / "source").mkdir(parents=True)
    source = tmp_path / "source"
    shutil.copytree(shipped_bundles()["demo"], source)
    manifest = source / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": "9.0.0"}))
    assert store.install(source).reference == "demo@9.0.0"
    assert store.clean() == 1
