"""The sections of ``collector.toml``, except those that the client's own package defines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from edge_agent.contracts.manifest import Slug
from edge_agent.credentials import credential
from edge_agent.errors import ConfigError
from edge_agent.settings import Settings

PASSWORD_VARIABLE = "LEUKOSCOPE_DATABASE_PASSWORD"  # noqa: S105 - the variable's name, not a password

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}


def check_database_url(value: str) -> str:
    """``value``, if it names a database that the collector can use; ``ValueError``, which never repeats it, if not."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError) as error:
        raise ValueError(
            "is no database's address; write postgresql://USER@HOST/NAME or sqlite:////FOLDER/FILE"
        ) from error
    if url.drivername not in _DRIVERS:
        raise ValueError("names another kind of database; only postgresql:// and sqlite:// can be used")
    if url.password is not None or "password" in url.query:
        raise ValueError(
            "contains a password; put that into the file that database.password_file names, "
            f"or into the variable {PASSWORD_VARIABLE}"
        )
    if url.drivername == "sqlite":
        if not url.database or not url.database.startswith("/"):
            raise ValueError("needs the full path of the file: sqlite:////FOLDER/FILE, with four slashes")
    elif not url.database:
        raise ValueError("names no database; write postgresql://USER@HOST/NAME")
    return value


class DatabaseSettings(Settings):
    """Section ``[database]``: where everything is stored. The password is never in the file itself."""

    url: Annotated[str, AfterValidator(check_database_url)] = Field(
        default="sqlite:////var/lib/leukoscope-collector/leukoscope.db",
        description="postgresql://USER@HOST/NAME, or sqlite:////FOLDER/FILE for one clinic.",
    )
    password_file: Path | None = Field(
        default=None,
        description=f"File with the password on its first line. Default: the environment variable {PASSWORD_VARIABLE}.",
    )

    def sqlalchemy_url(self) -> URL:
        """The URL with driver and password. Raises ``ConfigError`` if the password's file cannot be read."""
        url = make_url(self.url)
        return url.set(drivername=_DRIVERS[url.drivername], password=self._password())

    def _password(self) -> str | None:
        if self.password_file is None:
            return os.environ.get(PASSWORD_VARIABLE)
        try:
            lines = credential(self.password_file).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"database.password_file {self.password_file} cannot be read.",
                remedy="Create it, with the password on its first line, readable by the collector's user.",
            ) from error
        if not lines or not lines[0]:
            raise ConfigError(
                f"database.password_file {self.password_file} is empty.", remedy="Write the password on its first line."
            )
        return lines[0]


class BatchSettings(Settings):
    """Section ``[batch]``: how much is committed at once."""

    max_count: int = Field(default=500, ge=1, le=10_000, description="Largest number of messages in one transaction.")
    max_wait_ms: int = Field(
        default=200, ge=1, le=10_000, description="A message waits no longer than this for others to be stored with."
    )


_Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionSettings(Settings):
    """Section ``[retention]``: how long rows are kept, by table. A key that is left out: for ever."""

    results_days: _Days | None = Field(default=None, description="Readings. Default: kept for ever.")
    events_days: _Days | None = Field(default=None, description="Events. Default: kept for ever.")
    reports_days: _Days | None = Field(default=None, description="Reports of slides. Default: kept for ever.")
    metrics_days: _Days | None = Field(
        default=400,
        description="Figures of the devices, which outgrow everything else: 2,880 rows per device and day. "
        "Default: a year, so that a season can be compared with the one before.",
    )
    unreadable_count: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Newest messages that could not be read, as they came."
    )

    def days(self) -> dict[str, int | None]:
        """Days by table; None for tables that are kept for ever."""
        return {
            "results": self.results_days,
            "events": self.events_days,
            "reports": self.reports_days,
            "metrics": self.metrics_days,
        }


class InstanceSettings(Settings):
    """Section ``[collector]``."""

    instance: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)] = Field(
        default="collector-1",
        description="Name of this collector at the broker, the same after each restart; each of several has its own.",
    )
    group: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)] | None = Field(
        default=None,
        description="Collectors of the same group share the messages among them. Not every broker can do that, and "
        "mosquitto forgets it when it is restarted. Default: this collector gets all messages of its sites.",
    )
    sites: tuple[Slug, ...] = Field(default=(), description="Collect only from these sites. Default: from all.")


class LogSettings(Settings):
    """Section ``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
