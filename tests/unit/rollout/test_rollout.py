"""Follows ``model/desired`` on a scripted device, with a real store, activation and models."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from edge_agent.contracts import EventKind, ModelDesired, ModelIdentity, RolloutState
from edge_agent.errors import BundleError, DiskFull
from edge_agent.inference.bundle import load_bundle
from edge_agent.inference.classifier import Classifier
from edge_agent.rollout import (
    Activation,
    Choice,
    ModelKind,
    ModelSettings,
    ModelStore,
    Rollout,
    RolloutOperations,
    RolloutSettings,
    RolloutStatus,
    ShadowVerdict,
)
from edge_agent.rollout.activation import RollBackReason
from edge_agent.rollout.attempt import Attempt
from edge_agent.rollout.record import RECORD, RecordFile
from tests.file_server import FileServer, file_server
from tests.heads import write_head
from tests.rollouts import ISSUED_AT, asks_for, make_archive, make_bundle, pack_folder
from tests.signing import OTHER_KEY, signed

PATIENCE_S = 30.0
CONFIGURED = Choice(bundle="demo")
FINAL = {RolloutState.ACTIVE, RolloutState.REFUSED, RolloutState.ROLLED_BACK}


class ScriptedShadow:
    """A shadow that ends when the test says so."""

    def __init__(self, on_end: Callable[[ShadowVerdict], None]) -> None:
        self.compared_count = 0
        self.end = on_end
        self.dismissed = False

    def dismiss(self) -> None:
        self.dismissed = True


class Device:
    """The parts of a device that a roll-out uses; its state outlives each ``Rollout``."""

    def __init__(
        self,
        folder: Path,
        *,
        unsigned: Literal["local", "always"] = "always",
        keys: tuple[str, ...] = (),
        **settings: Any,
    ) -> None:
        self.folder = folder / "models"
        self.settings = RolloutSettings.model_validate({"retry_s": 1, "fast_enough_ms": 10000, **settings})
        self.activation = Activation(self.folder)
        self.store = ModelStore(
            self.folder, ModelSettings(unsigned=unsigned, trusted_keys=keys), free_bytes_of=lambda _folder: 2**40
        )
        self.events: list[tuple[EventKind, str | None]] = []
        self.used: list[Choice] = []
        self.shadows: list[ScriptedShadow] = []
        self.now = ISSUED_AT + timedelta(hours=1)
        self.use_error: Exception | None = None
        self.changed = threading.Condition()
        self.seen: list[RolloutStatus] = []
        self.rollout: Rollout | None = None

    @property
    def chosen(self) -> Choice:
        return self.activation.chosen(CONFIGURED)

    def load(self, choice: Choice) -> Classifier:
        found = self.store.find(ModelKind.BUNDLE, choice.bundle)
        head = None if choice.head is None else self.store.find(ModelKind.HEAD, choice.head).folder
        return Classifier(load_bundle(found.folder), head=head)

    def model(self) -> ModelIdentity:
        return self.load(self.chosen).identity

    def use(self, choice: Choice) -> None:
        if self.use_error is not None:
            raise self.use_error
        self.activation.activate(choice, CONFIGURED)
        self.used.append(choice)

    def begin_shadow(self, _choice: Choice, _count: int, on_end: Callable[[ShadowVerdict], None]) -> ScriptedShadow:
        with self.changed:
            self.shadows.append(ScriptedShadow(on_end))
            self.changed.notify_all()
        return self.shadows[-1]

    def note(self) -> None:
        with self.changed:
            if self.rollout is not None:
                self.seen.append(self.rollout.status)
            self.changed.notify_all()

    def record(self, kind: EventKind, _message: str, *, code: str | None = None, **_details: object) -> None:
        self.events.append((kind, code))

    @contextmanager
    def running(self, *messages: bytes | ModelDesired) -> Iterator[Rollout]:
        """Run the agent inside the context."""
        rollout = Rollout(
            self.folder,
            self.activation,
            RolloutOperations(
                settings=lambda: self.settings,
                store=lambda: self.store,
                place=lambda: ("clinic", "scope-1"),
                model=self.model,
                chosen=lambda: self.chosen,
                load=self.load,
                begin_shadow=self.begin_shadow,
                use=self.use,
                changed=self.note,
                record=self.record,
                now=lambda: (self.now, True),
                free_bytes_of=lambda _folder: 2**40,
            ),
        )
        self.rollout = rollout
        rollout.start()
        try:
            for message in messages:
                rollout.submit(message if isinstance(message, bytes) else message.to_json())
            yield rollout
        finally:
            rollout.stop()

    def until(self, wanted: Callable[[RolloutStatus], bool]) -> RolloutStatus:
        with self.changed:
            assert self.changed.wait_for(lambda: self.rollout and wanted(self.rollout.status), PATIENCE_S), (
                self.rollout and self.rollout.status
            )
            assert self.rollout is not None
            return self.rollout.status

    def until_state(self, state: RolloutState, desired: ModelDesired | None = None) -> RolloutStatus:
        return self.until(lambda status: status.state is state and (desired is None or status.desired == desired))

    def follow(self, *messages: bytes | ModelDesired) -> RolloutStatus:
        """Run the agent until the last message was followed to its end."""
        with self.running(*messages):
            last = messages[-1]
            return self.until(lambda status: status.state in FINAL and status.desired == last)

    def states(self) -> list[RolloutState]:
        found: list[RolloutState] = []
        for status in self.seen:
            if not found or found[-1] is not status.state:
                found.append(status.state)
        return found


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with file_server(tmp_path) as found:
        yield found


def code(status: RolloutStatus) -> str | None:
    return None if status.error is None else status.error.code


def message_code(status: RolloutStatus) -> str | None:
    return None if status.message_error is None else status.message_error.code


def test_a_model_is_fetched_verified_tested_and_used(device: Device, archive: Path) -> None:
    wanted = asks_for(archive)
    status = device.follow(wanted)
    assert (status.state, status.error) == (RolloutState.ACTIVE, None)
    assert device.states() == ["waiting", "downloading", "verifying", "self_test", "active"]
    assert (device.model().name, device.model().version) == ("site", "1.0.0")
    assert [kind for kind, _ in device.events] == [EventKind.MODEL_DESIRED, EventKind.MODEL_ACTIVATED]
    active = device.activation.read()
    assert active is not None
    assert active.trial is not None
    # Nothing of the download is left.
    assert not (device.folder / "download").exists()


def test_the_same_message_again_does_nothing_also_after_a_restart(device: Device, archive: Path) -> None:
    wanted = asks_for(archive)
    device.follow(wanted)
    archive.unlink()
    device.follow(wanted, wanted)
    assert len(device.used) == 1
    assert device.events.count((EventKind.MODEL_ACTIVATED, None)) == 1


@pytest.mark.parametrize("seconds", [-3600, -1, 0])
def test_a_message_that_is_not_newer_is_refused_also_after_a_restart(
    device: Device, archive: Path, tmp_path: Path, seconds: int
) -> None:
    device.follow(asks_for(archive))
    other = make_archive(tmp_path, "other")
    replayed = asks_for(other, issued_at=ISSUED_AT + timedelta(seconds=seconds))
    with device.running(replayed):
        status = device.until(lambda each: each.message_error is not None)
    assert message_code(status) == "desired_stale"
    assert status.state is RolloutState.ACTIVE
    assert device.model().name == "site"


def test_a_message_that_was_withdrawn_cannot_be_replayed(device: Device, archive: Path) -> None:
    wanted = asks_for(archive, not_before=ISSUED_AT + timedelta(days=1))
    with device.running(wanted) as rollout:
        device.until_state(RolloutState.WAITING)
        rollout.submit(b"")
        device.until_state(RolloutState.IDLE)
        rollout.submit(wanted.to_json())
        assert message_code(rollout.status) == "desired_stale"
    assert device.used == []


def test_a_message_of_the_future_is_refused_unless_the_clock_is_not_set(device: Device, archive: Path) -> None:
    future = asks_for(archive, issued_at=device.now + timedelta(days=2))
    with device.running(future) as rollout:
        assert message_code(rollout.status) == "desired_invalid"
    assert device.used == []


def test_an_older_version_than_was_used_is_refused(device: Device, tmp_path: Path) -> None:
    newer, older = make_archive(tmp_path, version="1.10.0"), make_archive(tmp_path, version="1.9.0")
    device.follow(asks_for(newer))
    status = device.follow(asks_for(older, issued_at=ISSUED_AT + timedelta(seconds=1)))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "model_downgrade")
    assert device.model().version == "1.10.0"
    # Nor by way of another model.
    other = make_archive(tmp_path, "other")
    device.follow(asks_for(other, issued_at=ISSUED_AT + timedelta(seconds=2)))
    status = device.follow(asks_for(older, issued_at=ISSUED_AT + timedelta(seconds=3)))
    assert code(status) == "model_downgrade"


def test_an_unsigned_model_is_refused_unless_the_settings_allow_it(tmp_path: Path, archive: Path) -> None:
    device = Device(tmp_path, unsigned="local")
    status = device.follow(asks_for(archive))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "unsigned_refused")
    assert device.model().name == "demo"
    assert not (device.folder / "bundles").exists()


def test_a_model_is_used_if_it_is_signed_with_a_trusted_key_and_not_with_another(tmp_path: Path) -> None:
    good, bad = make_bundle(tmp_path, "good", "1.0.0"), make_bundle(tmp_path, "bad", "1.0.0")
    device = Device(tmp_path, unsigned="local", keys=(signed(good),))
    signed(bad, OTHER_KEY)
    assert device.follow(asks_for(pack_folder(good))).state is RolloutState.ACTIVE
    status = device.follow(asks_for(pack_folder(bad), issued_at=ISSUED_AT + timedelta(seconds=1)))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "signature_unknown_key")
    # Changed after it was signed.
    (good / "manifest.json").write_bytes((good / "manifest.json").read_bytes().replace(b"1.0.0", b"1.0.1"))
    changed = pack_folder(good.rename(tmp_path / "good-1.0.1"))
    status = device.follow(asks_for(changed, issued_at=ISSUED_AT + timedelta(seconds=2)))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "signature_invalid")
    assert device.model().version == "1.0.0"


def test_a_head_is_used_on_its_bundle_and_a_bundle_takes_the_place_of_both(
    device: Device, archive: Path, tmp_path: Path
) -> None:
    head = tmp_path / "clinic-1.2.0"
    write_head(head, name="clinic", version="1.2.0")
    status = device.follow(asks_for(pack_folder(head), kind="head"))
    assert (status.state, status.error) == (RolloutState.ACTIVE, None)
    assert device.used == [Choice(bundle="demo", head="clinic@1.2.0")]
    older = tmp_path / "clinic-1.1.0"
    write_head(older, name="clinic", version="1.1.0")
    status = device.follow(asks_for(pack_folder(older), kind="head", issued_at=ISSUED_AT + timedelta(seconds=1)))
    assert code(status) == "model_downgrade"
    device.follow(asks_for(archive, issued_at=ISSUED_AT + timedelta(seconds=2)))
    assert device.chosen == Choice(bundle="site@1.0.0")


def test_an_archive_of_another_model_is_refused(device: Device, archive: Path) -> None:
    for number, changes in enumerate(({"name": "else"}, {"version": "1.0.1"}, {"kind": "head"})):
        moment = ISSUED_AT + timedelta(seconds=number)
        status = device.follow(asks_for(archive, issued_at=moment, **changes))
        assert (status.state, code(status)) == (RolloutState.REFUSED, "model_mismatch")
    assert device.used == []


def test_any_changed_byte_of_an_archive_is_refused_by_its_hash_and_by_what_is_in_it(
    device: Device, archive: Path
) -> None:
    content = archive.read_bytes()
    rng = random.Random(1)
    codes = set()
    for number in range(20):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        archive.write_bytes(content)
        honest = asks_for(archive, issued_at=ISSUED_AT + timedelta(seconds=2 * number))
        archive.write_bytes(bytes(changed))
        status = device.follow(honest)
        assert (status.state, code(status)) == (RolloutState.REFUSED, "download_mismatch")
        # Published by somebody who can name any hash.
        status = device.follow(asks_for(archive, issued_at=ISSUED_AT + timedelta(seconds=2 * number + 1)))
        if status.state is RolloutState.REFUSED:
            codes.add(code(status))
        else:
            # This byte, such as one of a time, is ignored by all readers of zip files: the content is unchanged.
            assert device.load(device.chosen).manifest.name == "site"
            device.activation.roll_back(CONFIGURED, RollBackReason.FAILED)
            shutil.rmtree(device.folder / "bundles")
    assert codes <= {"model_archive_invalid", "bundle_invalid", "bundle_hash_mismatch", "model_mismatch"}
    assert codes


def test_what_was_refused_is_not_fetched_again(device: Device, server: FileServer, archive: Path) -> None:
    device.settings = device.settings.model_copy(update={"ca_file": server.ca_file})
    server.serve(archive.read_bytes())
    wanted = asks_for(archive, source=server.address(), sha256="0" * 64)
    for _ in range(3):
        status = device.follow(wanted)
        assert (status.state, code(status)) == (RolloutState.REFUSED, "download_mismatch")
    assert len(server.visits) == 1
    # A new decision is followed.
    status = device.follow(asks_for(archive, source=server.address(), issued_at=ISSUED_AT + timedelta(seconds=1)))
    assert status.state is RolloutState.ACTIVE
    assert len(server.visits) == 2


@pytest.mark.parametrize("sha256", ["0" * 64, None], ids=["refused", "active"])
def test_what_has_ended_is_not_attempted_again_after_a_restart(
    device: Device, archive: Path, monkeypatch: pytest.MonkeyPatch, sha256: str | None
) -> None:
    wanted = asks_for(archive) if sha256 is None else asks_for(archive, sha256=sha256)
    device.follow(wanted)
    attempts: list[ModelDesired] = []
    monkeypatch.setattr(Attempt, "run", lambda _self, each: attempts.append(each))
    reads = threading.Event()
    follow = Rollout._follow

    def followed(self: Rollout, each: ModelDesired | None) -> None:
        follow(self, each)
        reads.set()

    monkeypatch.setattr(Rollout, "_follow", followed)
    with device.running(wanted):
        assert reads.wait(PATIENCE_S)
    assert attempts == []


def test_a_server_that_fails_is_asked_again_and_not_for_ever(tmp_path: Path, server: FileServer, archive: Path) -> None:
    device = Device(tmp_path, ca_file=server.ca_file, max_attempts_count=2)
    server.replies.append(lambda visit: visit.head("503 Service Unavailable", Content_Length=0))
    wanted = asks_for(archive, source=server.address())
    with device.running(wanted):
        status = device.until(lambda each: each.failures_count == 1)
        assert (status.state, code(status)) == (RolloutState.WAITING, "download_failed")
        assert status.retry_at is not None
        status = device.until(lambda each: each.state is RolloutState.REFUSED)
    assert code(status) == "download_failed"
    assert len(server.visits) == 2
    device.follow(wanted)
    assert len(server.visits) == 2


def test_a_download_that_was_cut_goes_on_after_a_restart(tmp_path: Path, server: FileServer, archive: Path) -> None:
    device = Device(tmp_path, ca_file=server.ca_file)
    content = archive.read_bytes()

    def cut(visit: Any) -> None:
        visit.head("200 OK", Content_Length=len(content), ETag='"1"')
        visit.send(content[:10_000])
        visit.wait()

    server.replies.append(cut)
    server.serve(content)
    with device.running(asks_for(archive, source=server.address())):
        device.until(lambda each: each.received_bytes == 10_000)
    with device.running():
        device.until_state(RolloutState.ACTIVE)
    assert [visit.start for visit in server.visits] == [0, 10_000]


def test_a_newer_message_ends_a_download(tmp_path: Path, server: FileServer, archive: Path) -> None:
    device = Device(tmp_path, ca_file=server.ca_file)

    def stall(visit: Any) -> None:
        visit.head("200 OK", Content_Length=10_000)
        visit.wait()

    server.replies.append(stall)
    newer = asks_for(archive, issued_at=ISSUED_AT + timedelta(seconds=1))
    with device.running(asks_for(archive, source=server.address())) as rollout:
        device.until_state(RolloutState.DOWNLOADING)
        rollout.submit(newer.to_json())
        status = device.until_state(RolloutState.ACTIVE)
    assert status.desired == newer


def test_a_message_that_is_wrong_leaves_what_is_under_way(device: Device, archive: Path) -> None:
    wanted = asks_for(archive, not_before=ISSUED_AT + timedelta(hours=2))
    with device.running(wanted) as rollout:
        device.until_state(RolloutState.WAITING)
        rollout.submit(b"{}")
        assert message_code(rollout.status) == "desired_invalid"
        assert rollout.status.desired == wanted
        device.now = ISSUED_AT + timedelta(hours=3)
    with device.running():
        status = device.until_state(RolloutState.ACTIVE)
    assert status.message_error is None


def test_nothing_begins_before_its_time(device: Device, archive: Path) -> None:
    wanted = asks_for(archive, not_before=device.now + timedelta(milliseconds=300))
    with device.running(wanted):
        status = device.until(lambda each: each.retry_at is not None)
        assert status.retry_at == wanted.not_before
        assert not device.store.folder.joinpath("bundles").exists()
        device.now += timedelta(hours=1)
        device.until_state(RolloutState.ACTIVE)


def test_a_device_outside_the_wave_waits_until_it_is_in_one(device: Device, archive: Path) -> None:
    none = {"devices_pct": 0, "salt": "a"}
    everybody = {"devices_pct": 100, "salt": "a"}
    with device.running(asks_for(archive, wave=none)) as rollout:
        status = device.until(lambda each: not each.takes_part)
        assert status.state is RolloutState.WAITING
        rollout.submit(asks_for(archive, wave=everybody, issued_at=ISSUED_AT + timedelta(seconds=1)).to_json())
        assert device.until_state(RolloutState.ACTIVE).takes_part


def test_a_model_that_is_slower_than_allowed_is_refused(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(tmp_path, fast_enough_ms=0, max_slowdown_ratio=3)
    monkeypatch.setattr("edge_agent.rollout.self_test._times_s", Times({"site": 0.35, "demo": 0.1}).of)
    status = device.follow(asks_for(archive))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "self_test_slow")
    assert device.used == []
    monkeypatch.setattr("edge_agent.rollout.self_test._times_s", Times({"site": 0.25, "demo": 0.1}).of)
    assert device.follow(asks_for(archive, issued_at=device.now)).state is RolloutState.ACTIVE


def test_a_model_that_is_fast_enough_may_be_much_slower_than_the_one_before(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(tmp_path, fast_enough_ms=200, max_slowdown_ratio=3)
    monkeypatch.setattr("edge_agent.rollout.self_test._times_s", Times({"site": 0.15, "demo": 0.002}).of)
    assert device.follow(asks_for(archive)).state is RolloutState.ACTIVE


class Times:
    """Seconds per field, by the bundle's name."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def of(self, classifier: Classifier, *_: object) -> list[float]:
        return [self._seconds[classifier.manifest.name]]


def shadowed(device: Device, archive: Path, *verdicts: ShadowVerdict) -> RolloutStatus:
    """Follow a message with a shadow that ends in these verdicts."""
    before = len(device.shadows)
    with device.running(asks_for(archive, shadow_readings_count=50)):
        device.until_state(RolloutState.SHADOW)
        with device.changed:
            assert device.changed.wait_for(lambda: len(device.shadows) > before, PATIENCE_S)
        assert device.used == []
        for verdict in verdicts:
            device.shadows[-1].end(verdict)
        return device.until(lambda each: each.state in FINAL)


def test_a_model_that_agrees_in_the_shadow_is_used(device: Device, archive: Path) -> None:
    status = shadowed(device, archive, ShadowVerdict(50, 0.96, None))
    assert status.state is RolloutState.ACTIVE
    assert device.shadows[0].dismissed


@pytest.mark.parametrize(
    "verdict", [ShadowVerdict(50, 0.5, None), ShadowVerdict(50, None, None), ShadowVerdict(3, 1.0, "it failed")]
)
def test_a_model_that_does_not_agree_in_the_shadow_is_refused(
    device: Device, archive: Path, verdict: ShadowVerdict
) -> None:
    status = shadowed(device, archive, verdict)
    assert (status.state, code(status)) == (RolloutState.REFUSED, "shadow_disagrees")
    assert device.used == []


def test_a_restart_in_the_shadow_begins_the_shadow_again(device: Device, archive: Path) -> None:
    with device.running(asks_for(archive, shadow_readings_count=50)):
        device.until_state(RolloutState.SHADOW)
    assert shadowed(device, archive, ShadowVerdict(50, 1.0, None)).state is RolloutState.ACTIVE
    assert RecordFile(device.folder).read().tests_count == 0


def test_a_model_that_was_given_up_is_reported_and_not_used_again(device: Device, archive: Path) -> None:
    wanted = asks_for(archive)
    with device.running(wanted) as rollout:
        device.until_state(RolloutState.ACTIVE)
        device.activation.roll_back(CONFIGURED, RollBackReason.FAILED, BundleError("It fails."))
        rollout.look_again()
        status = device.until_state(RolloutState.ROLLED_BACK)
    assert code(status) == "model_rolled_back"
    assert "It fails." in str(status.error)
    assert device.follow(wanted).state is RolloutState.ROLLED_BACK
    assert len(device.used) == 1


def test_a_model_that_was_given_up_at_a_start_is_reported(device: Device, archive: Path) -> None:
    wanted = asks_for(archive)
    device.follow(wanted)
    device.activation.begin(CONFIGURED)
    # The next start finds a shadow that has not ended in order.
    device.activation.begin(CONFIGURED)
    with device.running(wanted):
        device.until_state(RolloutState.ROLLED_BACK)


def test_a_model_that_ended_the_process_before_it_was_known_to_be_used_is_not_used_again(
    device: Device, archive: Path
) -> None:
    wanted = asks_for(archive)
    device.follow(wanted)
    file = RecordFile(device.folder)
    # Killed between the activation and its record; the next start gave the model up.
    file.write(file.read().model_copy(update={"state": RolloutState.WAITING}))
    device.activation.roll_back(CONFIGURED, RollBackReason.CRASHED)
    assert device.follow(wanted).state is RolloutState.ROLLED_BACK
    assert len(device.used) == 1


def test_a_model_that_was_given_up_may_be_asked_for_once_more(device: Device, archive: Path) -> None:
    device.follow(asks_for(archive))
    device.activation.roll_back(CONFIGURED, RollBackReason.CRASHED)
    status = device.follow(asks_for(archive, issued_at=ISSUED_AT + timedelta(seconds=1)))
    assert status.state is RolloutState.ACTIVE
    assert len(device.used) == 2


def test_another_model_chosen_on_the_device_is_not_a_roll_back(device: Device, archive: Path) -> None:
    with device.running(asks_for(archive)) as rollout:
        device.until_state(RolloutState.ACTIVE)
        device.activation.activate(Choice(bundle="fast"), CONFIGURED)
        rollout.look_again()
        device.until_state(RolloutState.IDLE)


def test_what_cannot_be_used_after_all_is_refused(device: Device, archive: Path) -> None:
    device.use_error = BundleError("It does not load.")
    status = device.follow(asks_for(archive))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "bundle_invalid")


def test_a_defect_is_a_refusal_and_the_next_message_is_followed(device: Device, archive: Path, tmp_path: Path) -> None:
    device.use_error = ZeroDivisionError("a defect")
    status = device.follow(asks_for(archive))
    assert (status.state, code(status)) == (RolloutState.REFUSED, "rollout_failed")
    device.use_error = None
    other = asks_for(make_archive(tmp_path, "other"), issued_at=ISSUED_AT + timedelta(seconds=1))
    assert device.follow(other).state is RolloutState.ACTIVE


def test_a_full_disk_delays_and_loses_nothing(device: Device, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = RecordFile.write
    full = True

    def fails(self: RecordFile, record: Any) -> None:
        if full:
            raise DiskFull("No room.")
        write(self, record)

    monkeypatch.setattr(RecordFile, "write", fails)
    monkeypatch.setattr("edge_agent.rollout.progress.WRITE_AGAIN_S", 0.05)
    with device.running(asks_for(archive)):
        assert code(device.until(lambda each: each.error is not None)) == "disk_full"
        assert device.used == []
        full = False
        device.until_state(RolloutState.ACTIVE)


def test_a_model_that_ends_the_process_three_times_is_refused(device: Device, archive: Path) -> None:
    wanted = asks_for(archive)
    file = RecordFile(device.folder)
    device.folder.mkdir(parents=True)
    begun = {"desired": wanted, "accepted_at": wanted.issued_at, "tests_count": 3, "state": RolloutState.WAITING}
    file.write(file.read().model_copy(update=begun))
    status = device.follow(wanted)
    assert (status.state, code(status)) == (RolloutState.REFUSED, "rollout_interrupted")
    assert device.used == []


def test_a_process_that_ends_while_a_model_runs_in_it_is_counted(
    device: Device, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RecordFile(device.folder)
    counts: list[int] = []
    install, load = ModelStore.install, device.load

    def noting_install(*args: Any) -> Any:
        counts.append(file.read().tests_count)
        return install(*args)

    def noting_load(choice: Choice) -> Classifier:
        counts.append(file.read().tests_count)
        return load(choice)

    monkeypatch.setattr(ModelStore, "install", noting_install)
    monkeypatch.setattr(device, "load", noting_load)
    monkeypatch.setattr(device, "model", lambda: load(device.chosen).identity)
    device.follow(asks_for(archive))
    assert counts == [1, 1, 1]
    assert file.read().tests_count == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"state": "active"}', b"\xff" * 100, b"0" * 300_000])
def test_a_record_that_is_damaged_is_kept_aside(device: Device, archive: Path, content: bytes) -> None:
    device.folder.mkdir(parents=True)
    (device.folder / RECORD).write_bytes(content)
    assert device.follow(asks_for(archive)).state is RolloutState.ACTIVE
    damaged = json.loads(content) == {"state": "active"} if content.startswith(b'{"') else False
    assert ((EventKind.STATE_IGNORED, "state_entry_invalid") in device.events) is not damaged


def test_many_wrong_messages_are_one_event_for_each_code(device: Device, archive: Path) -> None:
    with device.running() as rollout:
        for _ in range(50):
            rollout.submit(b"{}")
        assert rollout.status.messages_refused_count == 50
        rollout.submit(asks_for(archive).to_json())
        device.until_state(RolloutState.ACTIVE)
        rollout.submit(b"{}")
    assert device.events.count((EventKind.MODEL_REFUSED, "desired_invalid")) == 2
