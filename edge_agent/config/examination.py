"""Checks a configuration without starting anything: files, folders, bundle, doubtful settings."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.addresses import is_loopback
from edge_agent.analysis.settings import AUTO
from edge_agent.cameras.settings import (
    CameraSettings,
    FolderSettings,
    PiCameraSettings,
    StreamSettings,
    V4L2Settings,
    VideoSettings,
)
from edge_agent.config.reading import find_errors, usable_sections
from edge_agent.credentials import CREDENTIALS, credential
from edge_agent.errors import BundleError, CameraAbsent, ConfigError, SigningMissing
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.toml_file.layout import KeyPath, find_lines, line_of
from edge_agent.toml_file.reading import parse_config, read_config_text
from edge_agent.web.access.access_file import read_access
from edge_agent.web.settings import WebSettings

PLAIN_PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in a configuration; with ``is_warning`` it may be intended."""

    keys: KeyPath
    explanation: str
    """The key, what is wrong, and what to do."""
    is_warning: bool = False
    line: int = 1

    def describe(self, path: Path) -> str:
        """``file:line: key: what; do this``."""
        return f"{path}:{self.line}: {self.explanation}"


def examine_config(path: Path) -> tuple[Problem, ...]:
    """All problems and doubtful settings, in the file's order.

    Raises ``ConfigError`` if the file cannot be read or is not TOML.
    """
    text = read_config_text(path)
    values = parse_config(path, text)
    found = [Problem(keys, explanation) for keys, explanation in find_errors(values)]
    sections = usable_sections(values)
    for name, check in _CHECKS:
        if name in sections:
            found += check(sections[name])
    found += _check_model(sections)
    found += _check_patience(sections)
    found += _check_stillness(sections)
    found += _check_secrecy(path, sections)
    lines = find_lines(text)
    placed = (Problem(each.keys, each.explanation, each.is_warning, line_of(lines, each.keys)) for each in found)
    return tuple(sorted(placed, key=lambda problem: (problem.line, problem.explanation)))


def _error(keys: KeyPath, what: str) -> Problem:
    return Problem(keys, f"{'.'.join(map(str, keys))}: {what}")


def _warning(keys: KeyPath, what: str) -> Problem:
    return Problem(keys, f"{'.'.join(map(str, keys))}: {what}", is_warning=True)


def _check_model(sections: Mapping[str, Any]) -> Iterator[Problem]:
    from edge_agent.inference.auto_bundles import auto_bundles
    from edge_agent.inference.bundle import load_bundle, require_kinds
    from edge_agent.inference.head import open_head

    analysis, models = sections.get("analysis"), sections.get("models")
    if analysis is None:
        return
    trust = None if models is None else models.trust()
    deciding = None
    try:
        # Which bundle it is is decided at the start; all candidates are of the same kind.
        bundle = auto_bundles(None)[0] if analysis.bundle == AUTO else analysis.bundle
        deciding = load_bundle(bundle, trust)
    except (BundleError, SigningMissing) as error:
        yield _error(("analysis", "bundle"), _sentence(error.message, error.remedy))
    if analysis.head is not None:
        try:
            open_head(analysis.head, trust)
            if analysis.bundle == AUTO:
                auto_bundles(analysis.head, trust)
        except (BundleError, SigningMissing) as error:
            yield _error(("analysis", "head"), _sentence(error.message, error.remedy))
    if analysis.cells_bundle is not None:
        try:
            beside = load_bundle(analysis.cells_bundle, trust)
            if deciding is not None:
                require_kinds(deciding.manifest, beside.manifest)
        except (BundleError, SigningMissing) as error:
            yield _error(("analysis", "cells_bundle"), _sentence(error.message, error.remedy))


def _check_camera(settings: CameraSettings) -> Iterator[Problem]:
    match settings:
        case V4L2Settings(device="auto"):
            from edge_agent.cameras.v4l2 import find_device

            try:
                find_device()
            except CameraAbsent as error:
                yield _warning(("camera", "device"), _sentence(error.message, error.remedy))
        case V4L2Settings():
            if not _exists(Path(settings.device)):
                yield _warning(("camera", "device"), f"there is no {settings.device} now; connect the camera")
        case FolderSettings() | VideoSettings():
            keys: KeyPath = ("camera", "path")
            if not _exists(settings.path):
                yield _warning(keys, f"there is no {settings.path} now; create it, or correct the path")
            yield from _relative(keys, settings.path)


def _check_stillness(sections: Mapping[str, Any]) -> Iterator[Problem]:
    camera, trigger = sections.get("camera"), sections.get("trigger")
    if isinstance(camera, FolderSettings) and trigger is not None and trigger.mode == "settled":
        yield _warning(
            ("trigger", "mode"),
            "images that differ never come to rest, so they are skipped; use continuous or triggered",
        )


def _check_mqtt(settings: MqttSettings) -> Iterator[Problem]:
    tls = settings.tls
    if tls is None and settings.port == TLS_PORT:
        yield _warning(
            ("mqtt", "port"),
            f"{TLS_PORT} is the port for encrypted connections, but [mqtt.tls] is missing; add it, or use another port",
        )
    if tls is not None and settings.port == PLAIN_PORT:
        yield _warning(
            ("mqtt", "port"),
            f"{PLAIN_PORT} is the port for connections without encryption, but there is a [mqtt.tls]; "
            f"use {TLS_PORT}, or remove [mqtt.tls]",
        )
    if tls is None and settings.username is not None and not is_loopback(settings.host):
        yield _warning(("mqtt", "username"), "the password crosses the network unencrypted; add [mqtt.tls]")
    if settings.heartbeat_s >= settings.status_expiry_s:
        yield _warning(
            ("mqtt", "status_expiry_s"), "the status expires before it is repeated; make it longer than heartbeat_s"
        )
    files: list[tuple[KeyPath, Path | None, bool]] = [(("mqtt", "password_file"), settings.password_file, True)]
    if tls is not None:
        files += [
            (("mqtt", "tls", "ca_file"), tls.ca_file, False),
            (("mqtt", "tls", "certificate_file"), tls.certificate_file, False),
            (("mqtt", "tls", "key_file"), tls.key_file, True),
        ]
    unusable = [problem for keys, path, secret in files if path for problem in _check_file(keys, path, secret=secret)]
    yield from unusable
    bad = {problem.keys for problem in unusable if problem.keys}
    if ("mqtt", "password_file") not in bad:
        yield from _try(settings.password, ("mqtt", "password_file"))
    if tls is not None and not any(keys[:2] == ("mqtt", "tls") for keys in bad):
        yield from _try(tls.context, ("mqtt", "tls"))


def _check_file(keys: KeyPath, named: Path, *, secret: bool) -> Iterator[Problem]:
    """Check that the file exists and can be read; for a secret, that others cannot read it."""
    path = credential(named)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            yield _error(keys, f"{named} is not a regular file; name a file")
            return
        with path.open("rb"):
            pass
    except PermissionError:
        if named.parent == CREDENTIALS and os.geteuid() != 0:
            yield _warning(keys, f"only root can read {named}; run this check with sudo")
        else:
            yield _error(keys, f"{named} cannot be read; change its owner or permissions")
    except FileNotFoundError:
        yield _error(keys, f"there is no file {named}; create it, or correct the path")
    except OSError as error:
        yield _error(keys, f"{named} cannot be read: {error.strerror}; correct the path")
    else:
        if secret and mode & stat.S_IROTH:
            yield _warning(keys, f"every user of this machine can read {named}; run chmod 600 {named}")
    yield from _relative(keys, named)


def _try(load: Callable[[], object], keys: KeyPath) -> Iterator[Problem]:
    try:
        load()
    except ConfigError as error:
        # A message that begins with a key is about that key.
        first, _, rest = error.message.partition(" ")
        if first.startswith(".".join(map(str, keys[:1])) + "."):
            yield _error(tuple(first.split(".")), _sentence(rest, error.remedy))
        else:
            yield _error(keys, _sentence(error.message, error.remedy))


def _check_state(settings: Any) -> Iterator[Problem]:
    yield from _check_folder(("state", "folder"), settings.folder)


def _check_collection(settings: Any) -> Iterator[Problem]:
    # A file below the state folder is checked with that folder.
    if settings.folder is not None:
        yield from _check_folder(("collection", "folder"), settings.folder)


def _check_folder(keys: KeyPath, folder: Path) -> Iterator[Problem]:
    nearest = folder.absolute()
    while not _exists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield _error(keys, f"{nearest} is not a folder; move it away, or choose another folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        # The service runs as its own user.
        yield _warning(keys, f"this user cannot write to {nearest}; make sure that the agent's user can")
    yield from _relative(keys, folder)


def _check_page(settings: WebSettings) -> Iterator[Problem]:
    if not settings.enabled:
        return
    files: list[tuple[KeyPath, Path | None, bool]] = [(("web", "access_file"), settings.access_file, True)]
    if settings.tls is not None:
        files += [
            (("web", "tls", "certificate_file"), settings.tls.certificate_file, False),
            (("web", "tls", "key_file"), settings.tls.key_file, True),
        ]
    unusable = [problem for keys, path, secret in files if path for problem in _check_file(keys, path, secret=secret)]
    yield from unusable
    bad = {problem.keys for problem in unusable}
    access_file, tls = settings.access_file, settings.tls
    if access_file is not None and ("web", "access_file") not in bad:
        yield from _try(lambda: read_access(access_file), ("web", "access_file"))
    if tls is not None and not any(keys[:2] == ("web", "tls") for keys in bad):
        yield from _try(lambda: tls.load_into(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)), ("web", "tls"))


def _check_trigger(settings: Any) -> Iterator[Problem]:
    if settings.mode == "settled" and settings.new_field_change_pct <= settings.rest_change_pct:
        yield _warning(
            ("trigger", "new_field_change_pct"),
            "a field at rest would count as a new one; make it larger than rest_change_pct",
        )


_CHECKS: tuple[tuple[str, Callable[[Any], Iterator[Problem]]], ...] = (
    ("camera", _check_camera),
    ("collection", _check_collection),
    ("mqtt", _check_mqtt),
    ("state", _check_state),
    ("trigger", _check_trigger),
    ("web", _check_page),
)


def _check_patience(sections: dict[str, Any]) -> Iterator[Problem]:
    """Time-outs of a camera's driver must be shorter than the agent's own."""
    camera, capture = sections.get("camera"), sections.get("capture")
    if capture is None:
        return
    names: tuple[str, ...] = ()
    match camera:
        case StreamSettings():
            names = ("open_timeout_s", "read_timeout_s")
        case PiCameraSettings():
            names = ("wait_timeout_s",)
    for name in names:
        if getattr(camera, name) >= capture.deadline_s:
            yield _warning(
                ("camera", name),
                f"the agent gives up on the camera after capture.deadline_s ({capture.deadline_s:g} s); "
                "make this shorter",
            )


def _check_secrecy(path: Path, sections: dict[str, Any]) -> Iterator[Problem]:
    """The address of a stream may contain a password, so the file itself may be a secret."""
    camera = sections.get("camera")
    if isinstance(camera, StreamSettings) and "@" in camera.url.get_secret_value():
        try:
            mode = path.stat().st_mode
        except OSError:
            return
        if mode & stat.S_IROTH:
            yield _warning(
                ("camera", "url"),
                f"every user of this machine can read the password in this file; run chmod 640 {path}",
            )


def _relative(keys: KeyPath, path: Path) -> Iterator[Problem]:
    if not path.is_absolute():
        yield _warning(keys, f"{path} is relative to the folder in which the agent is started; write the path in full")


def _exists(path: Path) -> bool:
    """A path in a folder that this user cannot enter counts as existing."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _sentence(message: str, remedy: str) -> str:
    """An error's message and remedy in one sentence: ``what; do this``."""
    what = message.rstrip(".")
    return f"{what[:1].lower()}{what[1:]}; {remedy[:1].lower()}{remedy[1:].rstrip('.')}"
