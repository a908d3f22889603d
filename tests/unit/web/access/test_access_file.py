"""The file with hashes of passwords and tokens."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import ConfigError
from edge_agent.web.access.access_file import (
    ROLES,
    changed_access,
    exposed_files,
    new_token,
    parse_access,
    read_access,
    token_digest,
)
from edge_agent.web.access.passwords import hash_password, new_password, password_problem, role_of_password
from edge_agent.web.settings import WebSettings
from tests.page_access import PASSWORDS, TOKENS, access_text, write_access

HASH = "$argon2id$v=19$m=19456,t=2,p=1$PT149DjQJiF+XdTM5HsU+A$6SJR12OQvKIyRsnMnzimWiN13tGaVVwktMd/UN60+wc"
TOKEN = token_digest("token")


def test_each_role_is_found_by_its_password_and_by_its_token(tmp_path: Path) -> None:
    known = read_access(write_access(tmp_path))
    assert list(known.passwords) == ["administer", "work", "look"]
    for role in ROLES:
        assert role_of_password(PASSWORDS[role], known.passwords) == role
        assert known.role_of_token(TOKENS[role]) == role
    assert role_of_password("another", known.passwords) is None
    assert known.role_of_token(token_digest(TOKENS["work"])) is None, "what the file holds opens nothing"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no role"),
        (b"[look]\n", "not a section with a password or a token"),
        (b"look = 1\n", "not a section"),
        (b"[root]\npassword = 'x'\n", "none of look, work, administer"),
        (f"[look]\npassword = '{HASH}'\npasword = 'x'\n".encode(), "neither password nor token"),
        (b"[look]\npassword = 's3cret'\n", "not an Argon2id hash"),
        (f"[look]\npassword = '{HASH.replace('argon2id', 'argon2i')}'\n".encode(), "not an Argon2id hash"),
        (f"[look]\npassword = '{HASH.replace('19456', '1048576')}'\n".encode(), "bounded cost"),
        (f"[look]\npassword = '{HASH.replace('t=2', 't=4000')}'\n".encode(), "bounded cost"),
        (f"[look]\npassword = '{HASH.replace('19456', '4')}'\n".encode(), "bounded cost"),
        (b"[look]\ntoken = 's3cret'\n", "not a SHA-256 digest"),
        (b"[look]\ntoken = 3\n", "not a SHA-256 digest"),
        (b"[look\npassword = 's3cret'", "not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 70000, "larger than 64 KiB"),
    ],
)
def test_what_is_wrong_is_said_without_what_the_file_says(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "access.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_access(path)
    assert "s3cret" not in str(caught.value)
    assert "edge-agent web" in caught.value.remedy


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_access(tmp_path / "absent")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_access(tmp_path)


def test_the_service_reads_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials_web-access.toml").write_text(access_text())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert set(read_access(Path("/etc/leukoscope/credentials/web-access.toml")).roles) == set(ROLES)


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_it_contains_there_is_one_kind_of_error(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert parse_access(content).roles


values = st.fixed_dictionaries({}, optional={"password": st.just(HASH), "token": st.just(TOKEN)}).filter(bool)


@given(
    before=st.dictionaries(st.sampled_from(ROLES), values),
    role=st.sampled_from(ROLES),
    key=st.sampled_from(["password", "token"]),
)
def test_a_change_leaves_everything_else_as_it_was(before: dict[str, dict[str, str]], role: str, key: str) -> None:
    text = "# mine\n" + "".join(
        f"[{name}] # of {name}\n" + "".join(f"{each} = '{value}'\n" for each, value in table.items())
        for name, table in before.items()
    )
    if not before:
        text = ""
    value = HASH.replace("6SJR", "7SJR") if key == "password" else token_digest("new")
    changed = changed_access(text.encode(), role, key, value)
    expected = {**before, role: {**before.get(role, {}), key: value}}
    assert tomllib.loads(changed.decode()) == expected
    assert all(line in changed.decode() for line in text.splitlines() if "#" in line)


def test_a_file_that_was_never_one_is_not_changed() -> None:
    with pytest.raises(ValueError, match="none of look"):
        changed_access(b"[mqtt]\nport = 1\n", "look", "token", TOKEN)


def test_made_passwords_and_tokens_are_new_and_accepted() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert {password_problem(each) for each in made} == {None}
    assert len({new_token() for _ in range(50)}) == 50
    assert len(new_token()) >= 43


@pytest.mark.parametrize("wrong", ["", "short", "x" * 257, " begins with a space", "not \ufffd text"])
def test_a_password_that_cannot_be_one_is_refused(wrong: str) -> None:
    assert password_problem(wrong) is not None


def test_an_umlaut_is_the_same_from_every_keyboard() -> None:
    known = {"work": hash_password("schl\u00fcssel")}
    assert role_of_password("schlu\u0308ssel", known) == "work"
    assert role_of_password("schlussel", known) is None


def test_a_file_that_everybody_can_read_is_named(tmp_path: Path) -> None:
    path = write_access(tmp_path)
    assert exposed_files(WebSettings(access_file=path)) == []
    path.chmod(0o644)
    assert [str(path) in error.message for error in exposed_files(WebSettings(access_file=path))] == [True]


def test_it_is_read_and_checked_also_where_the_extra_is_not_installed() -> None:
    code = (
        "import sys, edge_agent.config.examination, edge_agent.web.access.access_file, edge_agent.web.settings; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"argon2", "cryptography", "limits", "starlette", "uvicorn", "segno"}
