from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu, EdgeTpuLost, EdgeTpuReady
from edge_agent.inference.edgetpu.options import EdgeTpuOptions
from tests.edge_tpu.stand_in import FakeUsb


@dataclass(slots=True)
class Rig:
    """A classifier with a fake Edge TPU, whose rounds and clock the test controls."""

    edge_tpu: EdgeTpu
    classifier: Classifier
    usb: FakeUsb
    now_s: float
    changes: list[EdgeTpuLost | EdgeTpuReady]
    pictures: Iterator[NDArray[np.uint8]]
    _command: Path
    _alone: Classifier

    def command(self, word: str) -> None:
        """Set what the fake does from the next picture on."""
        self._command.write_text(word)

    def judge(self) -> str | None:
        """Judge another picture, whose result must match the processor's; returns what ran the network."""
        picture = next(self.pictures)
        found, expected = self.classifier.classify(picture), self._alone.classify(picture)
        assert np.array_equal(found.logits, expected.logits)
        assert found.unfamiliarity_score == expected.unfamiliarity_score
        assert np.array_equal(found.class_activation_map, expected.class_activation_map)
        return found.accelerator

    def state(self) -> tuple[str | None, str | None]:
        """What judges another picture, and the problem after it."""
        return self.judge(), self.problem

    @property
    def problem(self) -> str | None:
        """The code of the reason why the Edge TPU does not judge."""
        return None if self.edge_tpu.problem is None else self.edge_tpu.problem.code


def make_pictures(classifier: Classifier) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    side = classifier.manifest.input.height_px
    while True:
        yield rng.integers(0, 256, (side, side, 3), dtype=np.uint8)


MakeRig = Callable[..., Rig]


@pytest.fixture
def make_rig(
    library: Path, bundle_for_coral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeRig]:
    """A rig with an Edge TPU plugged in. The keywords are those of ``EdgeTpuOptions``, ``head`` and ``bundle``."""
    made: list[Rig] = []

    def make(*, bundle: Path = bundle_for_coral, head: Path | None = None, **options: Any) -> Rig:
        usb = FakeUsb(tmp_path / "sys")
        usb.plug_in()
        command = tmp_path / "command"
        monkeypatch.setenv("FAKE_EDGETPU_COMMAND", str(command))
        chosen = replace(
            EdgeTpuOptions(library=str(library), sysfs=usb.root, deadline_s=5.0),
            **options,
        )
        changes: list[EdgeTpuLost | EdgeTpuReady] = []
        edge_tpu = EdgeTpu(chosen, changes.append, clock_s=lambda: rig.now_s)
        classifier = Classifier(load_bundle(bundle), head=head)
        alone = Classifier(load_bundle(bundle), head=head)
        rig = Rig(edge_tpu, classifier, usb, 100.0, changes, make_pictures(classifier), command, alone)
        made.append(rig)
        classifier.accelerate(edge_tpu)
        return rig

    yield make
    for rig in made:
        rig.edge_tpu.close()
