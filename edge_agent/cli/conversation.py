"""The questions of ``edge-agent setup``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from edge_agent.addresses import is_loopback
from edge_agent.analysis.settings import AUTO
from edge_agent.cameras.v4l2 import BY_ID
from edge_agent.cli.atomic_file import replace_file
from edge_agent.cli.config_document import ConfigDocument
from edge_agent.cli.page_questions import ask_for_page
from edge_agent.cli.questions import Asker, Questions
from edge_agent.config import config_error, find_errors
from edge_agent.contracts import Topics
from edge_agent.errors import BundleError, ConfigError
from edge_agent.inference import load_bundle, shipped_bundles
from edge_agent.toml_file.regular_file import read_regular_file

TEMPLATE = "agent.toml"

CREDENTIAL_FILES = {
    "password_file": "mqtt-password",
    "ca_file": "ca.crt",
    "certificate_file": "device.crt",
    "key_file": "device.key",
}
"""File name of each secret in the credentials folder, so that none can overwrite another."""

CAMERAS = {
    "v4l2": "a USB camera",
    "picamera": "a Raspberry Pi camera",
    "synthetic": "drawn smears, to test everything else",
}
SIGN_INS = {
    "none": "the broker asks for nothing",
    "password": "user name and password",
    "certificate": "a certificate of this device",
}
TRIGGERS = {
    "settled": "a reading of each new field, once the stage rests",
    "continuous": "a reading every few seconds",
    "triggered": "a reading only on request",
}
BUNDLES = {
    AUTO: "accurate, or fast where this computer is too slow for it, found out at each start",
    "accurate": "the most accurate one",
    "fast": "for a Raspberry Pi 4 or Zero 2 without a Coral",
    "demo": "for drawn smears only; it means nothing clinically",
}
_ASKED = frozenset(
    {
        ("device", "site"),
        ("device", "id"),
        ("mqtt", "host"),
        ("mqtt", "port"),
        ("mqtt", "username"),
        ("mqtt", "password_file"),
        ("mqtt", "tls"),
        ("camera", "kind"),
        ("camera", "device"),
        ("analysis", "bundle"),
        ("trigger", "mode"),
        ("trigger", "interval_s"),
        ("web", "enabled"),
        ("web", "host"),
        ("web", "port"),
        ("web", "access_file"),
    }
)


@dataclass(slots=True)
class Conversation:
    """Checks every answer at once by the same rules as the file, and writes nothing before the last one."""

    ask: Asker
    show: Callable[[str], None]
    config: Path
    credentials: Path
    _document: ConfigDocument = field(init=False, repr=False)
    _questions: Questions = field(init=False, repr=False)
    _secrets: dict[Path, str] = field(default_factory=dict, init=False, repr=False)
    """Written together with the file, so that nothing has changed if the user stops half-way."""

    def run(self) -> None:
        """Ask everything, then write. Raises ``ConfigError`` if the file cannot be used or written."""
        self._document = self._begin()
        self._questions = Questions(self.ask, self.show, self._document)
        self._device()
        self._broker()
        self._camera()
        self._bundle()
        mode = self._choose(("trigger", "mode"), TRIGGERS, "When is a field read?")
        if mode == "continuous":
            self._questions.set(("trigger", "interval_s"), "Seconds between two readings", as_number=True)
        self._secrets.update(ask_for_page(self._questions, self.credentials))
        self._write()
        self.show(f"Written to {self.config}.")

    def _begin(self) -> ConfigDocument:
        """The existing file, else the template. Comments and other settings stay."""
        if not self.config.exists():
            template = resources.files("edge_agent").joinpath(TEMPLATE).read_text(encoding="utf-8")
            return ConfigDocument.parse(template)
        try:
            document = ConfigDocument.read(self.config)
        except ConfigError as error:
            remedy = "Correct it, or move it away to start with a new one. Nothing was changed."
            raise ConfigError(error.message, remedy=remedy) from error
        # Check now: after all the questions, an error elsewhere in the file would waste the answers.
        unasked = [(keys, what) for keys, what in find_errors(document.values) if not _is_asked(keys)]
        if unasked:
            raise config_error(self.config, document.text, unasked)
        return document

    def _device(self) -> None:
        self.show("Site and device are part of every topic, which everybody with access to the broker can read.")
        before = self._document.get("device")
        while True:
            self._questions.set(("device", "site"), "Name of the clinic or laboratory (a-z, 0-9, -)")
            self._questions.set(("device", "id"), "Name of this device, unique there (a-z, 0-9, -)")
            site, device = self._document.get("device", "site"), self._document.get("device", "id")
            if self._document.get("device") == before:
                return
            # No rule can tell the name of a person from that of a place, but the user can.
            self.show(f"Topics will begin with {Topics(site, device).prefix}/.")
            if not self._questions.yes(
                f"Does '{site}' or '{device}' name a person, such as a patient or a doctor?", None
            ):
                return
            self.show("Names of persons must not be published. Choose other names, such as north-clinic and scope-1.")

    def _broker(self) -> None:
        document = self._document
        self._questions.set(("mqtt", "host"), "Name or address of the MQTT broker")
        had_tls = document.get("mqtt", "tls") is not None
        encrypted = self._questions.yes(
            "Encrypt the connection (TLS)?", had_tls or not is_loopback(document.get("mqtt", "host"))
        )
        if encrypted:
            document.add_table(("mqtt", "tls"))
        else:
            document.remove("mqtt", "tls")
        if encrypted != had_tls:
            # Encrypted and plain connections have different usual ports.
            document.set(("mqtt", "port"), 8883 if encrypted else 1883)
        self._questions.set(("mqtt", "port"), "Its port", as_number=True)
        if encrypted:
            self._file("ca_file", "File with the CA certificate of the broker (empty for a public authority)")
        how = self._questions.pick(SIGN_INS, "How does this device sign in?", self._sign_in())
        if how != "password":
            document.remove("mqtt", "username")
            document.remove("mqtt", "password_file")
        if how != "certificate":
            document.remove("mqtt", "tls", "certificate_file")
            document.remove("mqtt", "tls", "key_file")
        if how == "password":
            self._questions.set(("mqtt", "username"), "User name")
            self._password()
        elif how == "certificate":
            self._certificate()

    def _sign_in(self) -> str:
        if self._document.get("mqtt", "username") is not None:
            return "password"
        return "none" if self._document.get("mqtt", "tls", "certificate_file") is None else "certificate"

    def _password(self) -> None:
        while True:
            typed = self.ask("Password (it is not shown)", "", secret=True)
            if not typed and self._document.get("mqtt", "password_file"):
                return
            if not typed:
                self.show("A password is needed.")
            elif "\ufffd" in typed:
                self.show("The password is not UTF-8 text.")
            else:
                target = self.credentials / CREDENTIAL_FILES["password_file"]
                self._secrets[target] = typed + "\n"
                self._document.set(("mqtt", "password_file"), str(target))
                return

    def _certificate(self) -> None:
        if self._document.get("mqtt", "tls") is None:
            self.show("A certificate needs an encrypted connection, so it will be encrypted.")
            self._document.add_table(("mqtt", "tls"))
        for key, question in (("certificate_file", "File with this device's certificate"), ("key_file", "Its key")):
            self._file(key, question, needed=True)

    def _file(self, key: str, question: str, *, needed: bool = False) -> None:
        """Ask for a file, and copy it to the credentials folder, where the service can read it."""
        path = ("mqtt", "tls", key)
        while True:
            typed = self.ask(question, self._document.get(*path) or "").strip()
            if not typed and not needed:
                self._document.remove(*path)
                return
            try:
                source = Path(typed).expanduser()
                content = read_regular_file(source).decode()
            except OSError as error:
                self.show(f"{typed or 'No file'} cannot be read: {error.strerror}.")
            except UnicodeDecodeError:
                self.show(f"{typed} is not in PEM form: it is not text.")
            except RuntimeError:
                self.show(f"There is no home folder for {typed}; write the path in full.")
            else:
                problem = _pem_problem(key, content)
                if problem is not None:
                    self.show(f"{typed} {problem}")
                    continue
                target = self.credentials / CREDENTIAL_FILES[key]
                if source.resolve() != target.resolve():
                    self._secrets[target] = content
                self._document.set(path, str(target))
                return

    def _camera(self) -> None:
        document = self._document
        before = document.get("camera", "kind")
        kinds = dict(CAMERAS)
        if before is not None and before not in kinds:
            kinds[before] = "as in the file now"
        kind = self._questions.pick(kinds, "Which camera?", before or "v4l2")
        if kind != before:
            # The keys of the other kind would be errors.
            for key in document.get("camera") or {}:
                if key != "kind":
                    document.remove("camera", key)
            document.set(("camera", "kind"), kind)
        if kind == "v4l2":
            found = sorted(str(path) for path in BY_ID.glob("*-video-index0")) if BY_ID.is_dir() else []
            self.show("USB cameras found: " + (", ".join(found) or "none yet"))
            self._questions.set(("camera", "device"), "Its path, or 'auto' for the only one", default="auto")

    def _bundle(self) -> None:
        path = ("analysis", "bundle")
        before = self._document.get(*path)
        for name in (AUTO, *shipped_bundles()):
            self.show(f"  {name}: {BUNDLES.get(name, 'a shipped bundle')}")
        drawn = self._document.get("camera", "kind") == "synthetic"
        while True:
            self._questions.set(path, "Which bundle? Its name, or its folder", default="demo" if drawn else "accurate")
            if self._document.get(*path) == AUTO:
                return
            try:
                load_bundle(self._document.get(*path))
            except BundleError as error:
                self.show(f"{error.message} {error.remedy}")
                if before is None:
                    self._document.remove(*path)
                else:
                    self._document.set(path, before)
            else:
                return

    def _choose(self, path: tuple[str, str], choices: Mapping[str, str], question: str) -> str:
        chosen = self._questions.pick(choices, question, str(self._document.get(*path) or next(iter(choices))))
        self._document.set(path, chosen)
        return chosen

    def _write(self) -> None:
        errors = find_errors(self._document.values)
        if errors:
            raise config_error(self.config, self._document.text, errors)
        # The text first, because that may fail.
        text = self._document.text
        if self._secrets:
            self._make_credentials()
        for path, content in self._secrets.items():
            replace_file(path, content.encode(), mode=0o600)
        replace_file(self.config, text.encode(), keep_before=True)

    def _make_credentials(self) -> None:
        try:
            self.credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"{self.credentials} cannot be created: {error.strerror}.", remedy="Run it as root, with sudo."
            ) from error


def _is_asked(keys: tuple[str | int, ...]) -> bool:
    # A camera's keys are asked together with its kind.
    return keys[:2] in _ASKED or keys in {("device",), ("camera",)}


def _pem_problem(key: str, content: str) -> str | None:
    """The problem with the content of the file for ``key``; None if it is valid."""
    if "-----BEGIN" not in content:
        return "is not in PEM form: it has no line '-----BEGIN ...'."
    if key == "key_file":
        if "ENCRYPTED" in content:
            return "is encrypted, but nobody can type its password on a device. Use a key without a password."
        return None if "PRIVATE KEY-----" in content else "contains no private key."
    return None if "-----BEGIN CERTIFICATE-----" in content else "contains no certificate."
