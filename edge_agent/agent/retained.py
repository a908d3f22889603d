"""What the broker keeps of this device, and tells whoever subscribes later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from edge_agent.agent.acceleration import Acceleration
from edge_agent.agent.device_info import device_info, reported_model
from edge_agent.agent.model_control import ModelControl
from edge_agent.agent.newest import Newest
from edge_agent.config import Config
from edge_agent.contracts import Health, Result, StatusState, Topics
from edge_agent.homeassistant.discovery import BIRTH, make_discovery
from edge_agent.monitoring.monitor import HEALTH_EXPIRY_S, LAST_INTERVAL_S
from edge_agent.mqtt import Publisher
from edge_agent.rollout import RolloutStatus
from edge_agent.specimens.open_slide import open_slide_message
from edge_agent.specimens.tally import Tally


@dataclass(frozen=True, slots=True)
class RetainedSources:
    """What the messages tell of. The functions are called each time."""

    config: Callable[[], Config]
    models: ModelControl
    acceleration: Acceleration
    rollout_status: Callable[[], RolloutStatus]


class RetainedMessages:
    """The device's retained messages. Each is published when it changes, and again after each connect.

    Any thread may use it. A reload replaces the publisher and the topics; see ``move``.
    """

    def __init__(
        self, publisher: Publisher, topics: Topics, session: UUID, started_at: datetime, sources: RetainedSources
    ) -> None:
        self.publisher = publisher
        """The connection to the broker."""
        self.topics = topics
        """Where the device publishes."""
        self._session = session
        self._started_at = started_at
        self._sources = sources
        # In one order for all threads: otherwise the last word could be an older one.
        self._introducing = threading.Lock()
        self._last: Newest[Result] = Newest(self._publish_last, LAST_INTERVAL_S)
        self._slide: Newest[Tally | None] = Newest(self._publish_slide, LAST_INTERVAL_S)

    def introduce(self) -> None:
        """Publish ``info``, ``model/reported``, and what Home Assistant discovers the device by."""
        self.publish_info()
        self.report_model()
        self._announce()

    def publish_info(self) -> None:
        """Publish ``info``."""
        with self._introducing:
            info = device_info(
                self._sources.config(),
                self._sources.models.analyzer,
                self._session,
                self._started_at,
                speed=self._sources.models.speed,
                accelerator=self._sources.acceleration.name,
            )
            self.publisher.set_retained(self.topics.info, info.to_json())

    def report_model(self) -> None:
        """Publish the model in use, and how far its successor is."""
        with self._introducing:
            config, analyzer = self._sources.config(), self._sources.models.analyzer
            reported = reported_model(config, analyzer, self._session, self._sources.rollout_status())
            self.publisher.set_retained(self.topics.model_reported, reported.to_json())

    def home_assistant_said(self, payload: bytes) -> None:
        """Home Assistant has sent ``payload`` on its birth topic."""
        if payload == BIRTH:
            self._announce()

    def put_last(self, result: Result) -> None:
        """The spool has taken ``result``, the newest."""
        self._last.put(result)

    def put_slide(self, tally: Tally | None, *, at_once: bool = False) -> None:
        """The open slide has these counts; None if none is open."""
        self._slide.put(tally, at_once=at_once or tally is None or not tally.readings_count)

    def put_health(self, health: Health) -> None:
        """Publish ``health``."""
        self.publisher.set_retained(self.topics.health, health.to_json(), expiry_s=HEALTH_EXPIRY_S)

    def put_status(self, state: StatusState, code: str | None) -> None:
        """Publish the status."""
        self.publisher.set_status(state, code)

    def do_round(self) -> None:
        """Publish what waits, if its time has come. To be called every few seconds."""
        self._last.do_round()
        self._slide.do_round()

    def flush(self) -> None:
        """Publish what waits."""
        self._last.flush()
        self._slide.flush()

    def move(self, publisher: Publisher, topics: Topics) -> None:
        """Stop the publisher and go on with another one, which has not started, perhaps on other topics."""
        self._last.flush()
        if topics != self.topics:
            # It would be a result of another device there.
            self._last.forget()
        former = self.publisher
        former.stop()
        self.publisher, self.topics = publisher, topics
        publisher.take_over(former)
        # A new bundle or camera is part of the device's info.
        self.introduce()
        self._last.publish_again()
        self._slide.publish_again()

    def _announce(self) -> None:
        config = self._sources.config()
        if config.homeassistant.enabled:
            found = make_discovery(config.homeassistant, self.topics, status_expiry_s=config.mqtt.status_expiry_s)
            self.publisher.set_retained(found.topic, found.payload)

    def _publish_last(self, result: Result) -> None:
        self.publisher.set_retained(self.topics.last, result.to_json())

    def _publish_slide(self, tally: Tally | None) -> None:
        message = open_slide_message(tally, topics=self.topics, session=self._session)
        self.publisher.set_retained(self.topics.specimen, message.to_json())
