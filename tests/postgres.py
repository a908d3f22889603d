"""A PostgreSQL of the tests' own: its own folder, its own port on the loopback address, killed and started at will."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from edge_agent.cli.local_broker import LOOPBACK, free_port

START_DEADLINE_S = 60.0


def find_postgres() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them out of PATH. The newest, if there are several."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    return versions[-1].parent if versions else None


def why_no_postgres() -> str | None:
    """Why there can be no PostgreSQL here; None if there can."""
    if find_postgres() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL refuses to run as root, and there is no user 'postgres'"
    return None


class Postgres:
    """One server. Each ``database`` is a new one with its own name."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs, self._folder, self.port = programs, folder, port
        self._process: subprocess.Popen[bytes] | None = None
        self._databases_count = 0
        # The server refuses to run as root.
        self._as: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale"],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._as,
        )

    def start(self, *settings: str) -> None:
        """Start, and wait until it answers. After a kill that takes the recovery of what was committed."""
        self._settings = settings or getattr(self, "_settings", ())
        options = [f"port={self.port}", f"listen_addresses={LOOPBACK}", f"unix_socket_directories={self._folder}"]
        until = time.monotonic() + START_DEADLINE_S
        while True:
            if self._process is None or self._process.poll() is not None:
                # Right after a kill the old memory may still be attached; it tries again.
                with (self._folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        [
                            self._programs / "postgres",
                            "-D",
                            self._folder / "data",
                            *(part for option in (*options, *self._settings) for part in ("-c", option)),
                        ],
                        stdout=log,
                        stderr=log,
                        cwd=self._folder,
                        start_new_session=True,
                        **self._as,
                    )
            try:
                psycopg.connect(self.address("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL to the server and all of its processes, as by a power cut."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """A quick clean stop."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def database(self) -> str:
        """The address of a new empty database."""
        self._databases_count += 1
        name = f"leukoscope_{self._databases_count}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the administrator."""
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return list(found.fetchall()) if found.description else []

    def require_password(self, role: str) -> None:
        """From now on this role has to give one."""
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.execute("SELECT pg_reload_conf()")

    def address(self, database: str) -> str:
        """As in a configuration."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{database}"


@contextlib.contextmanager
def run_postgres(*settings: str) -> Iterator[Postgres]:
    """A new server with these settings; skips the test, and says why, where there can be none."""
    reason = why_no_postgres()
    programs = find_postgres()
    if reason is not None or programs is None:
        pytest.skip(str(reason))
    # Not in pytest's own folder, which the user 'postgres' may not enter.
    with tempfile.TemporaryDirectory(prefix="leukoscope-postgres-") as folder:
        server = Postgres(programs, Path(folder), free_port())
        try:
            server.start(*settings)
            yield server
        finally:
            server.kill()
