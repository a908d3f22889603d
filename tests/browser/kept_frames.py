"""Kept frames for the labelling view, answered in the browser as the routes of the collection would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from playwright.sync_api import Page, Route

LABELS = [
    {"code": "benign", "name": "Benign", "meaning": "No blasts.", "malignant": False},
    {"code": "early-pre-b", "name": "Early pre-B ALL", "meaning": "Blasts.", "malignant": True},
    {"code": "pre-b", "name": "Pre-B ALL", "meaning": "Blasts.", "malignant": True},
    {"code": "pro-b", "name": "Pro-B ALL", "meaning": "Blasts.", "malignant": True},
]


class Given(NamedTuple):
    item: str
    label: str
    id: str


@dataclass
class KeptFrames:
    """Frames to label, each an RGB array; ``given`` has the page's labels for them, in order."""

    pictures: Sequence[NDArray[np.uint8]]
    given: list[Given] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = [str(uuid4()) for _ in self.pictures]

    def attach(self, page: Page) -> None:
        """Answer the requests of ``page`` to the collection."""
        page.route("**/collection**", self._answer)
        page.route("**/collection/**", self._answer)

    def _answer(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        name = address.path.removeprefix("/collection").strip("/")
        posted: dict[str, Any] = json.loads(route.request.post_data or "{}")
        match name.split("/"):
            case [""]:
                route.fulfill(json=self._state())
            case ["next"]:
                offered = self._next(parse_qs(address.query))
                route.fulfill(status=204) if offered is None else route.fulfill(json=offered)
            case ["items", file]:
                self.fetched.append(file.removesuffix(".jpg"))
                picture = np.ascontiguousarray(self.pictures[self.ids.index(file.removesuffix(".jpg"))])
                route.fulfill(body=simplejpeg.encode_jpeg(picture, colorspace="RGB"), content_type="image/jpeg")
            case ["labels"]:
                self.given.append(Given(posted["item"], posted["label"], posted["id"]))
                route.fulfill(json={"item": posted["item"], "label": posted["label"]})
            case ["undo"]:
                # Without an id, this is the last label of the role, whoever gave it.
                undone = next((each for each in self.given if each.id == posted.get("id")), self.given[-1])
                self.given.remove(undone)
                route.fulfill(json={"item": undone.item})
            case _:
                route.fulfill(status=404, json={"code": "none", "message": "None.", "remedy": None})

    def _waiting(self) -> list[str]:
        skipped = [each.item for each in self.given if each.label == "skip"]
        answered = {each.item for each in self.given if each.label != "skip"}
        left = [each for each in self.ids if each not in answered]
        return sorted(left, key=lambda each: skipped.index(each) + 1 if each in skipped else 0)

    def _next(self, query: dict[str, list[str]]) -> dict[str, object] | None:
        waiting = [] if query.get("queue") == ["second-look"] else self._waiting()
        if not waiting:
            return None
        return {
            "item": waiting[0],
            "captured_at": datetime.now(UTC).isoformat(),
            "specimen": None,
            "skipped": False,
            "waiting_count": len(waiting),
            "then": waiting[1:4],
        }

    def _state(self) -> dict[str, object]:
        labels = [each.label for each in self.given if each.label != "skip"]
        unusable = labels.count("not_usable")
        return {
            "keep": "all",
            "consent": "Ethics board of the North Clinic, 2026-11-02",
            "frames_count": len(self.ids),
            "size_bytes": 1_200_000,
            "max_bytes": 2_000_000_000,
            "max_frames_count": 10_000,
            "max_age_days": 365,
            "error": None,
            "sets": [
                {
                    "name": "classes",
                    "question": "What does this field show?",
                    "labels": [{**each, "labelled_count": labels.count(str(each["code"]))} for each in LABELS],
                    "unlabelled_count": len(self.ids) - len(labels),
                    "labelled_count": len(labels) - unusable,
                    "not_usable_count": unusable,
                    "disputed_count": 0,
                }
            ],
        }
