"""``leukoscope setup``: asks what a device cannot know, writes ``agent.toml``, and tries it out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Protocol, cast

import tomlkit
import typer
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from edge_agent import __version__
from edge_agent.cameras.v4l2 import BY_ID
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.doctor import doctor
from edge_agent.cli.terminal import NOTICE, output
from edge_agent.config import SYSTEM_CONFIG, Config, explain, keys_of
from edge_agent.errors import ConfigError

TEMPLATE = "agent.toml"
PASSWORD_FILE = "mqtt-password"  # noqa: S105 - a file's name

CAMERAS = {
    "v4l2": "a USB camera",
    "picamera": "a Raspberry Pi's camera",
    "synthetic": "drawn smears, to try everything else out",
}
SIGN_INS = {"none": "the broker asks for nothing", "password": "user name and password", "certificate": "a certificate"}
TRIGGERS = {
    "settled": "a reading of each new field, once the stage rests",
    "continuous": "a reading every few seconds",
    "triggered": "a reading when somebody asks for one",
}


class Asker(Protocol):
    """Puts a question to a person and returns what they type; ``default`` if that is nothing."""

    def __call__(self, question: str, default: str | None, *, secret: bool = False) -> str:
        """One line."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """The conversation. Every answer is checked at once by the same rules as the file."""

    ask: Asker
    say: Callable[[str], None]
    config: Path
    credentials: Path
    _secrets: dict[Path, str] = field(default_factory=dict, repr=False)
    """Written with the file, not before: who gives up half-way has changed nothing."""

    def run(self) -> None:
        """Ask everything, then write. Raises ``ConfigError`` if the file cannot be written."""
        document = self._begin()
        self._device(document)
        self._broker(document)
        self._camera(document)
        mode = self._choose(document, "trigger", "mode", TRIGGERS, "When is a field to be read?")
        if mode == "continuous":
            self._set(document, "trigger", "interval_s", "Seconds between two readings", as_number=True)
        self._write(document)
        self.say(f"Written to {self.config}.")

    def _begin(self) -> tomlkit.TOMLDocument:
        """The file that is there, else the template: comments and what is not asked for stay."""
        if self.config.exists():
            try:
                return tomlkit.parse(self.config.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, TOMLKitError) as error:
                self.say(f"{self.config} cannot be used and will be replaced: {error}")
        return tomlkit.parse(resources.files("edge_agent").joinpath(TEMPLATE).read_text(encoding="utf-8"))

    def _device(self, document: tomlkit.TOMLDocument) -> None:
        self.say("Site and device are part of every topic, so they may not name a patient.")
        self._set(document, "device", "site", "Name of the clinic or laboratory (a-z, 0-9, -)")
        self._set(document, "device", "id", "Name of this device, unique there (a-z, 0-9, -)")

    def _broker(self, document: tomlkit.TOMLDocument) -> None:
        self._set(document, "mqtt", "host", "Name or address of the MQTT broker")
        mqtt = _section(document, "mqtt")
        encrypted = self._yes(
            "Encrypt the connection (TLS)?", default=mqtt.get("host") not in {"localhost", "127.0.0.1"}
        )
        had_tls = "tls" in mqtt
        if encrypted and not had_tls:
            mqtt["tls"] = tomlkit.table()
        elif not encrypted:
            mqtt.pop("tls", None)
        if encrypted != had_tls:
            # The other kind of connection has another usual port.
            mqtt["port"] = 8883 if encrypted else 1883
        self._set(document, "mqtt", "port", "Its port", as_number=True)
        if encrypted:
            self._file(
                cast("Table", mqtt["tls"]), "ca_file", "File with the authority's certificate; nothing for a public one"
            )
        how = self._pick(SIGN_INS, "How does this device sign in?", _sign_in(mqtt))
        for key in ("username", "password_file"):
            if how != "password":
                mqtt.pop(key, None)
        if how == "password":
            self._set(document, "mqtt", "username", "User name")
            self._password(mqtt)
        elif how == "certificate":
            self._certificate(mqtt)

    def _password(self, mqtt: Table) -> None:
        while True:
            typed = self.ask("Password (it is not shown)", "", secret=True)
            file = self.credentials / PASSWORD_FILE
            if typed:
                self._secrets[file] = typed + "\n"
                mqtt["password_file"] = str(file)
                return
            if mqtt.get("password_file"):
                return
            self.say("A password is needed.")

    def _certificate(self, mqtt: Table) -> None:
        if "tls" not in mqtt:
            self.say("A certificate needs an encrypted connection, so it is encrypted now.")
            mqtt["tls"] = tomlkit.table()
        for key, question in (("certificate_file", "File with this device's certificate"), ("key_file", "Its key")):
            self._file(cast("Table", mqtt["tls"]), key, question, needed=True)

    def _file(self, section: Table, key: str, question: str, *, needed: bool = False) -> None:
        """A file that the service can read: a copy below the credentials."""
        while True:
            typed = self.ask(question, str(section.get(key, "")))
            if not typed and not needed:
                section.pop(key, None)
                return
            source = Path(typed).expanduser()
            try:
                content = source.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not PEM text"
                self.say(f"{typed or 'No file'} cannot be read: {reason}.")
                continue
            if "-----BEGIN" not in content:
                self.say(f"{source} is not in PEM form: it has no line '-----BEGIN ...'.")
                continue
            target = self.credentials / source.name
            if source.resolve() != target.resolve():
                self._secrets[target] = content
            section[key] = str(target)
            return

    def _camera(self, document: tomlkit.TOMLDocument) -> None:
        before = dict(_section(document, "camera"))
        kind = self._pick(CAMERAS, "Which camera?", str(before.get("kind", "v4l2")))
        if kind != before.get("kind"):
            # Keys of another kind would be mistakes.
            camera = tomlkit.table()
            camera["kind"] = kind
            document["camera"] = camera
        if kind == "v4l2":
            found = sorted(path.name for path in BY_ID.glob("*-video-index0")) if BY_ID.is_dir() else []
            self.say("USB cameras found: " + (", ".join(found) or "none yet"))
            self._set(document, "camera", "device", "Its path, or 'auto' for the only one", default="auto")

    def _choose(
        self, document: tomlkit.TOMLDocument, name: str, key: str, choices: Mapping[str, str], question: str
    ) -> str:
        section = _section(document, name)
        chosen = self._pick(choices, question, str(section.get(key, next(iter(choices)))))
        section[key] = chosen
        return chosen

    def _pick(self, choices: Mapping[str, str], question: str, default: str) -> str:
        for name, meaning in choices.items():
            if meaning:
                self.say(f"  {name}: {meaning}")
        while True:
            typed = self.ask(question, default).strip().lower()
            if typed in choices:
                return typed
            self.say(f"'{typed}' is none of these: {', '.join(choices)}.")

    def _yes(self, question: str, *, default: bool) -> bool:
        return self._pick({"yes": "", "no": ""}, question, "yes" if default else "no") == "yes"

    def _set(
        self,
        document: tomlkit.TOMLDocument,
        name: str,
        key: str,
        question: str,
        *,
        default: str | None = None,
        as_number: bool = False,
    ) -> None:
        """Ask until the configuration's own rules have nothing against the answer."""
        section = _section(document, name)
        before = section.get(key, _default(name, key))
        while True:
            typed = self.ask(question, str(before) if before is not None else default).strip()
            value: str | int | float = typed
            if as_number:
                number = _number(typed)
                if number is None:
                    self.say(f"'{typed}' is not a number.")
                    continue
                value = number
            section[key] = value
            problem = _problem(document, name, key)
            if problem is None:
                return
            self.say(problem)
            if before is None:
                del section[key]
            else:
                section[key] = before

    def _write(self, document: tomlkit.TOMLDocument) -> None:
        text = tomlkit.dumps(document)
        try:
            Config.model_validate(document.unwrap())
        except ValidationError as error:
            reasons = "\n".join(explain(problem) for problem in error.errors())
            raise ConfigError(f"What was not asked for is wrong in {self.config}:\n{reasons}") from error
        for path, content in self._secrets.items():
            _write_secret(path, content)
        new = self.config.with_name(f"{self.config.name}.new")
        try:
            self.config.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            if self.config.exists():
                # The service's user may read it by its group, others not: an address in it may hold a password.
                found = self.config.stat()
                new.chmod(found.st_mode & 0o777)
                os.chown(new, found.st_uid, found.st_gid)
                shutil.copy2(self.config, self.config.with_name(f"{self.config.name}.before"))
            new.replace(self.config)
        except OSError as error:
            raise ConfigError(
                f"{self.config} cannot be written: {error.strerror}.", remedy="Run it as root."
            ) from error


def _not_written(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror}.", remedy="Run it as root.")


def _section(document: tomlkit.TOMLDocument, name: str) -> Table:
    if name not in document:
        document[name] = tomlkit.table()
    return cast("Table", document[name])


def _default(name: str, key: str) -> object:
    """What the key is where the file does not have it; None where it has to be there."""
    field = Config.model_fields[name]
    if field.default is None or not hasattr(field.default, key):
        return None
    return getattr(field.default, key)


def _problem(document: tomlkit.TOMLDocument, name: str, key: str) -> str | None:
    """What the configuration has against one key; mistakes elsewhere are another question's."""
    try:
        Config.model_validate(document.unwrap())
    except ValidationError as error:
        return next((explain(each) for each in error.errors() if keys_of(each)[:2] == (name, key)), None)
    return None


def _sign_in(mqtt: Table) -> str:
    if "username" in mqtt:
        return "password"
    return "certificate" if "certificate_file" in mqtt.get("tls", {}) else "none"


def _number(typed: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(typed)
        except ValueError:
            continue
    return None


def _write_secret(path: Path, content: str) -> None:
    """For root's eyes only, from its first byte on. Raises ``ConfigError``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise _not_written(path, error) from error


def restart_service(say: Callable[[str], None], unit: str = "leukoscope.service") -> None:
    """Start the service anew, where it is installed and this is root: a reload would not hand it new secrets."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or os.geteuid() != 0 or not Path("/run/systemd/system").is_dir():
        return
    enabled = subprocess.run([systemctl, "--quiet", "is-enabled", unit], check=False, capture_output=True)
    if enabled.returncode != 0:
        return
    done = subprocess.run([systemctl, "restart", unit], check=False, capture_output=True, text=True)
    say(f"{unit} took it up." if done.returncode == 0 else f"{unit} could not be restarted: {done.stderr.strip()}")


def setup(
    config: Annotated[
        Path, typer.Option("--config", help="The agent.toml to write.", metavar="FILE", parser=expand_path)
    ] = (SYSTEM_CONFIG),
    try_out: Annotated[bool, typer.Option("--doctor/--no-doctor", help="Try everything out afterwards.")] = True,
) -> None:
    """Ask for site, device, broker and camera, write the configuration, and try it out."""
    output.print(f"Leukoscope {__version__}. {NOTICE}", style="bold")
    output.print("An empty answer takes what stands in brackets. Ctrl+C ends without a change.")

    def say(line: str) -> None:
        output.print(line, markup=False)

    Setup(_ask, say, config, config.parent / "credentials").run()
    restart_service(say)
    if try_out:
        doctor(config)


def _ask(question: str, default: str | None, *, secret: bool = False) -> str:
    answer: str = typer.prompt(question, default=default, hide_input=secret, show_default=not secret and bool(default))
    return answer
