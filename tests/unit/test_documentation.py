"""The documentation builds, and a link that leads nowhere stops the build."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    # Not -q, because MkDocs would then not count its warnings.
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--config-file",
        str(root / "mkdocs.yml"),
        "--site-dir",
        str(site),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the files from which the site is made."""
    root = tmp_path / "repository"
    for name in ["docs", "deploy"]:
        shutil.copytree(ROOT / name, root / name)
    for pattern in [
        "*.md",
        "LICENSE",
        "mkdocs.yml",
        "benchmarks/*.*",
        "edge_agent/agent.toml",
        "edge_agent/models/*/*.md",
    ]:
        for path in ROOT.glob(pattern):
            target = root / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return root


def test_the_documentation_has_no_dead_link_and_no_orphan_page(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path / "site")
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize(
    ("page", "text", "complaint"),
    [
        ("README.md", "[gone](docs/gone.md)", "docs/gone.md"),
        ("docs/mqtt.md", "[a folder](../deploy)", "../deploy"),
        ("deploy/README.md", "[no such heading](../docs/mqtt.md#gone)", "#gone"),
        ("docs/orphan.md", "# Not in the menu", "docs/orphan.md"),
    ],
)
def test_a_dead_link_and_an_orphan_page_stop_the_build(
    repository: Path, tmp_path: Path, page: str, text: str, complaint: str
) -> None:
    with (repository / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    built = build(repository, tmp_path / "site")
    assert built.returncode == 1
    assert complaint in built.stderr
