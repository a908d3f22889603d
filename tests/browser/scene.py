"""A device whose state, readings and moving picture are scripted, behind the real server of the page."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from playwright.sync_api import Page, WebSocketRoute
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import Cell, Differential, Label, Outcome, Reason, Result, SpecimenField
from edge_agent.inference import Classifier, load_bundle
from edge_agent.mqtt import Request
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.device import DeviceState
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import WebSettings
from tests.mqtt import PATIENCE_S
from tests.page_device import FakeDevice

FIELD_PX = 720, 960
TYPES = tuple(
    Label(code=code, display_name=name, meaning="A type of cell.", malignant=code == "blast")
    for code, name in (
        ("blast", "Blast"),
        ("lymphocyte", "Lymphocyte"),
        ("monocyte", "Monocyte"),
        ("neutrophil", "Neutrophil"),
        ("eosinophil", "Eosinophil"),
        ("basophil", "Basophil"),
        ("immature-granulocyte", "Immature granulocyte"),
        ("erythroblast", "Erythroblast"),
        ("smudge", "Smudge or other"),
    )
)
LIMITS = {name: float(value) for name, value in QualityLimits().model_dump().items() if value is not None}


class ScriptedDevice(FakeDevice):
    """``changes`` replaces parts of its state, ``answers`` its answers to commands."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[str, object] = {"quality_limits": LIMITS, "demonstration": False, "stale_after_s": None}
        self.answers: dict[str, dict[str, object]] = {}

    def state(self) -> DeviceState:
        return super().state().model_copy(update=self.changes)

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:
        self.submitted.put((request, by))
        reply(json.dumps(self.answers.get(request.command, self.answer)).encode())


class Readings:
    """Makes readings of drawn fields with the demonstration's model."""

    def __init__(self) -> None:
        self._analyzer = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
        self._results = ResultMaker("clinic-a", "scope-1", uuid7())

    def make(
        self,
        kind: str = "pre-b",
        *,
        seed: int = 7,
        focus_sigma_px: float = 0.6,
        specimen: SpecimenField | None = None,
        **changes: object,
    ) -> tuple[Result, Reading]:
        """The reading of a drawn field, with ``changes`` to the result of the analysis."""
        picture = draw(kind, seed, focus_sigma_px)
        found = self._analyzer.analyse(frame_now("camera0", Pixels(picture, ColourOrder.RGB)))
        found = dataclasses.replace(found, demonstration=False, **changes)  # type: ignore[arg-type]  # any field
        return self._results.make(found, specimen), found

    def typed(
        self,
        fates: Sequence[str | Reason],
        *,
        blast_ratios: Sequence[float] = (),
        seed: int = 7,
        provisional: bool = False,
    ) -> tuple[Result, Reading]:
        """A reading whose cells, the largest first, got these types, or were refused for these reasons.

        ``blast_ratios`` are those of the cells. The default is 0.9 for a blast, 0.1 for others, and none for a cell
        that is cut or unfamiliar.
        """
        _, found = self.make(seed=seed)
        assert len(found.cells) >= len(fates)
        cells = tuple(
            typed_cell(cell, fate, blast_ratios[number] if number < len(blast_ratios) else None)
            for number, (cell, fate) in enumerate(zip(found.cells, fates, strict=False))
        )
        types = [cell.type for cell in cells if cell.type is not None]
        blasts = types.count("blast")
        differential = Differential(
            demonstration=False,
            provisional=provisional,
            cells_count=len(found.cells),
            judged_count=len(types),
            refused_count=len(cells) - len(types),
            types_count={each.code: types.count(each.code) for each in TYPES},
            blasts_count=blasts,
            blast_ratio=blasts / len(types) if types else None,
            model=found.model,
        )
        rest = found.cells[len(cells) :]
        assert found.explanation is not None
        windows = tuple(window_around(draw("pre-b", seed), cell) for cell in cells)
        explanation = dataclasses.replace(found.explanation, cell_windows=windows)
        read = dataclasses.replace(found, cell_labels=TYPES, explanation=explanation)
        made = self._results.make(read).model_copy(update={"cells": (*cells, *rest), "differential": differential})
        return made, read

    def unfamiliar(self, seed: int = 3) -> tuple[Result, Reading]:
        """A reading that was refused because it is unlike the training images."""
        _, found = self.make("pro-b", seed=seed)
        assert found.decision is not None
        decision = found.decision.model_copy(
            update={
                "unfamiliarity_score": 1.4 * found.decision.max_unfamiliarity_score,
                "confidence_ratio": None,
            }
        )
        refused = dataclasses.replace(
            found,
            outcome=Outcome.ABSTAINED,
            reason=Reason.UNFAMILIAR,
            label=None,
            malignant=None,
            probabilities=None,
            malignant_ratio=None,
            decision=decision,
        )
        return self._results.make(refused, None), refused


def typed_cell(cell: Cell, fate: str | Reason, blast_ratio: float | None = None) -> Cell:
    """A cell with the box of a round nucleus, and a type or a reason for having none."""
    side = 2 * math.sqrt(cell.nucleus_area_px / math.pi)
    box = {
        "left_px": cell.x_px - side / 2,
        "top_px": cell.y_px - side / 2,
        "width_px": side,
        "height_px": side,
        "unfamiliarity_score": 0.5,
    }
    if isinstance(fate, Reason):
        unsure = fate is Reason.LOW_CONFIDENCE
        return cell.model_copy(update={**box, "refusal": fate, "blast_ratio": blast_ratio if unsure else None})
    ratio = blast_ratio if blast_ratio is not None else 0.9 if fate == "blast" else 0.1
    return cell.model_copy(update={**box, "type": fate, "type_ratio": 0.9, "blast_ratio": ratio})


def window_around(picture: NDArray[np.uint8], cell: Cell) -> NDArray[np.uint8]:
    """The window of a cell that a cells model sees, uint8 RGB (160, 160, 3)."""
    edged = np.pad(picture, ((80, 80), (80, 80), (0, 0)), mode="reflect")
    top, left = round(cell.y_px), round(cell.x_px)
    return edged[top : top + 160, left : left + 160]


def draw(label: str, seed: int, focus_sigma_px: float = 0.6) -> NDArray[np.uint8]:
    """A drawn field, uint8 RGB (720, 960, 3)."""
    rng = np.random.default_rng(seed)
    return draw_smear(rng, label, size_px=FIELD_PX, um_per_pixel=0.14, focus_sigma_px=focus_sigma_px)[0]


@dataclass
class Moving:
    """The moving picture: a viewer's requests, and frames that a test sends.

    It replaces the route, which has its own tests elsewhere, so that the test controls every figure.
    """

    asked: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[WebSocketRoute] = field(default_factory=list)
    on_ask: Callable[[WebSocketRoute, dict[str, Any]], None] = lambda _socket, _request: None

    shown_count: int = 0

    def attach(self, page: Page) -> None:
        """Answer the connection that ``page`` opens."""
        page.route_web_socket("**/live", self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)

        def receive(message: str | bytes) -> None:
            request = json.loads(message)
            self.asked.append(request)
            self.on_ask(socket, request)

        socket.on_message(receive)

    def show(self, picture: NDArray[np.uint8], **header: object) -> None:
        """Send a frame to the last viewer."""
        self.shown_count += 1
        self.sockets[-1].send(live_message(picture, **header))


def live_message(picture: NDArray[np.uint8], **header: object) -> bytes:
    """The binary message of a frame, uint8 RGB (h, w, 3)."""
    values = {
        "id": 1,
        "captured_at": datetime.now(UTC).isoformat(),
        "camera": "camera0",
        "width_px": picture.shape[1],
        "height_px": picture.shape[0],
        "region": [0, 0, 1, 1],
        "focus_score": 40.0,
        "brightness_pct": 72.0,
        "clipped_bright_pct": 0.0,
        "clipped_dark_pct": 0.0,
        "reading": None,
        "skipped_count": 0,
        **header,
    }
    text = json.dumps(values).encode()
    jpeg: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=92, colorspace="RGB")
    return len(text).to_bytes(4, "big") + text + jpeg


@dataclass
class Scene:
    """A served page, and the objects behind it."""

    device: ScriptedDevice
    server: MicroscopePage
    readings: Readings
    moving: Moving = field(default_factory=Moving)

    @property
    def address(self) -> str:
        return self.server.address

    def show(self, made: tuple[Result, Reading]) -> Result:
        """Publish a reading with its pictures immediately."""
        result, reading = made
        self.server.update(result, reading)
        deadline_s = time.monotonic() + PATIENCE_S
        while httpx2.get(f"{self.address}readings/{result.id}").status_code != 200:
            assert time.monotonic() < deadline_s, "the reading is not served"
        return result

    def open(self, page: Page, view: str = "microscope") -> None:
        """Open a view and wait until it is filled."""
        self.moving.attach(page)
        page.goto(f"{self.address}#/{view}")
        page.locator(f"#view-{view}").wait_for()


@contextmanager
def scene(
    readings: Readings, settings: WebSettings | None = None, device: ScriptedDevice | None = None
) -> Iterator[Scene]:
    """Serve the page of a scripted device inside the block."""
    server = MicroscopePage(settings or WebSettings(enabled=True, host="127.0.0.1", port=free_port()))
    found = device or ScriptedDevice()
    with server.serving(found):
        yield Scene(found, server, readings)
