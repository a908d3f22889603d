"""The Debian package: built, unpacked and examined, but not installed here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from benchmarks.agent_run import ENVIRONMENT

# A build fetches and packs 100 MB.
pytestmark = pytest.mark.timeout(1200)

TOOLS = ("dh", "dpkg-buildpackage", "dpkg-deb", "po2debconf")
NO_NETWORK = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeout|No route to host", re.IGNORECASE)
MAX_EXPOSURES_TENTHS = {"leukoscope.service": 14, "leukoscope-wake.service": 2}


@pytest.fixture(scope="module")
def package(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's file, for amd64."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)} not installed (apt-get install debhelper dpkg-dev po-debconf)")
    folder = tmp_path_factory.mktemp("deb")
    done = subprocess.run(
        [repository / "deploy" / "build-deb", "amd64", "3.13", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        # The content is the same; compressing it well would take a minute.
        env={**os.environ, "DEB_FOLDER": str(folder), "DPKG_DEB_COMPRESSOR_LEVEL": "0"},
    )
    if done.returncode != 0 and NO_NETWORK.search(done.stderr):
        pytest.skip("the package index cannot be reached, and the libraries are fetched from there")
    assert done.returncode == 0, done.stderr[-4000:]
    (found,) = (folder / "amd64").glob("leukoscope_*_amd64.deb")
    return found


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


def read_unit(path: Path) -> ConfigParser:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign] # keys as they are
    unit.read(path)
    return unit


def test_lintian_has_nothing_to_say(package: Path) -> None:
    if not os.environ.get("LEUKOSCOPE_LINTIAN"):
        pytest.skip("lintian takes more than a minute for this package: 'make lintian' runs it")
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed (apt-get install lintian)")
    done = subprocess.run(["lintian", "--allow-root", package], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_depends_on_the_python_that_it_was_made_for(package: Path) -> None:
    depends = subprocess.run(
        ["dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True, check=True
    ).stdout
    assert {"python3 (>= 3.13)", "python3 (<< 3.14)", "python3-systemd"} <= set(depends.strip().split(", "))


def test_its_programs_run_in_its_own_environment(unpacked: Path) -> None:
    home = unpacked / "opt" / "leukoscope"
    assert (home / "bin" / "python3").readlink() == Path("/usr/bin/python3.13")
    assert "include-system-site-packages = true" in (home / "pyvenv.cfg").read_text()
    assert (home / "bin" / "edge-agent").read_text().startswith("#!/opt/leukoscope/bin/python3\n")
    for name in ("edge-agent", "leukoscope"):
        assert (unpacked / "usr" / "bin" / name).readlink() == Path("/opt/leukoscope/bin/edge-agent")
    programs = [
        path
        for path in home.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & stat.S_IXUSR
    ]
    assert programs == [home / "bin" / "edge-agent"]


def test_it_has_the_agent_and_nothing_of_this_machine(unpacked: Path, repository: Path) -> None:
    libraries = unpacked / "opt" / "leukoscope" / "lib" / "python3.13" / "site-packages"
    assert (libraries / "edge_agent" / "models" / "accurate" / "model.tflite").is_file()
    assert (libraries / "trainer" / "site" / "adapt.py").is_file()
    assert (libraries / "sklearn").is_dir()
    assert not (libraries / "tensorflow").exists()
    assert not list(libraries.rglob("direct_url.json"))
    assert not [path for path in unpacked.rglob("*") if path.suffix == ".pyc" or path.name == "__pycache__"]
    assert not [path for path in libraries.rglob("*.so*") if ".cpython-" in path.name and "-313-" not in path.name]
    texts = [path for path in unpacked.rglob("*") if path.suffix in {".cfg", ".json", ".txt", ".conf", ".toml", ""}]
    assert not [
        path
        for path in texts
        if path.is_file() and not path.is_symlink() and os.fsencode(repository) in path.read_bytes()
    ]


def test_the_configuration_is_copied_and_no_conffile(unpacked: Path, repository: Path) -> None:
    # dpkg stops an upgrade to ask about a conffile that both sides have changed.
    assert not (unpacked / "DEBIAN" / "conffiles").exists()
    assert not (unpacked / "etc").exists()
    shipped = unpacked / "usr" / "share" / "leukoscope" / "agent.toml"
    assert shipped.read_bytes() == (repository / "edge_agent" / "agent.toml").read_bytes()


def test_units_rules_user_and_folders_are_in_place(unpacked: Path) -> None:
    library = unpacked / "usr" / "lib"
    assert {path.name for path in (library / "systemd" / "system").iterdir()} == {
        "leukoscope.service",
        "leukoscope-wake.service",
    }
    for path in ("sysusers.d/leukoscope.conf", "tmpfiles.d/leukoscope.conf", "udev/rules.d/61-leukoscope.rules"):
        assert (library / path).is_file()


def test_the_unit_sets_what_benchmarks_run_with(unpacked: Path) -> None:
    unit = read_unit(unpacked / "usr" / "lib" / "systemd" / "system" / "leukoscope.service")
    assert f"MALLOC_ARENA_MAX={ENVIRONMENT['MALLOC_ARENA_MAX']}" in unit["Service"]["Environment"].split()


def test_purging_keeps_what_waits_unless_told_otherwise(unpacked: Path) -> None:
    template = (unpacked / "DEBIAN" / "templates").read_text()
    assert "Template: leukoscope/purge-state\nType: boolean\nDefault: false\n" in template


@pytest.fixture
def units(repository: Path, tmp_path: Path) -> Path:
    """The units, in a form that this machine's systemd can check."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path / "units"
    folder.mkdir()
    for path in (repository / "deploy" / "systemd").glob("*.service"):
        text = re.sub(r"(?<=^ExecStart=)/opt/\S+", "/bin/true", path.read_text(), flags=re.MULTILINE)
        if systemd_version() < 254:
            text = re.sub(r"^Restart(Steps|MaxDelaySec)=.*\n", "", text, flags=re.MULTILINE)
            text = text.replace("Type=notify-reload", "Type=notify")
        (folder / path.name).write_text(text)
    return folder


def systemd_version() -> int:
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[1])


def test_systemd_finds_no_fault_with_the_units(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(units.iterdir())], capture_output=True, text=True, check=False
    )
    # Other units of this machine do not matter.
    assert "leukoscope" not in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("name", MAX_EXPOSURES_TENTHS)
def test_the_units_stay_in_their_sandboxes(units: Path, name: str) -> None:
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            f"--threshold={MAX_EXPOSURES_TENTHS[name]}",
            units / name,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_what_wakes_the_agent_may_do_no_more_than_the_agent_and_reaches_no_network(repository: Path) -> None:
    unit = read_unit(repository / "deploy/systemd/leukoscope-wake.service")["Service"]
    assert unit["User"] == read_unit(repository / "deploy/systemd/leukoscope.service")["Service"]["User"]
    assert (unit["RestrictAddressFamilies"], unit["PrivateNetwork"]) == ("none", "yes")
    assert "systemctl" not in unit["ExecStart"]


def test_the_wake_unit_signals_the_process_that_the_service_wrote_down(repository: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with subprocess.Popen(
        ["/bin/sh", "-c", f"trap 'exit 42' USR2; : >{ready}; while read -r line; do :; done"], stdin=subprocess.PIPE
    ) as agent:
        while not ready.exists():
            assert agent.poll() is None
        for name, key in (("leukoscope", "ExecStartPost"), ("leukoscope-wake", "ExecStart")):
            # Only the file's folder differs; everything else is as systemd would run it.
            command = shlex.split(read_unit(repository / f"deploy/systemd/{name}.service")["Service"][key].lstrip("-"))
            command = [word.replace("/run/leukoscope", str(tmp_path)) for word in command]
            subprocess.run(command, check=True, env={"MAINPID": str(agent.pid)})
    assert agent.returncode == 42


def test_a_wake_without_an_agent_signals_nothing(repository: Path, tmp_path: Path) -> None:
    unit = read_unit(repository / "deploy/systemd/leukoscope-wake.service")["Service"]
    command = [
        word.replace("/run/leukoscope", str(tmp_path)) for word in shlex.split(unit["ExecStart"].removeprefix("-"))
    ]
    assert unit["ExecStart"].startswith("-")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0
