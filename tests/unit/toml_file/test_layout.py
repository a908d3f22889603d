from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
import tomlkit
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_agent.toml_file.layout import KeyPath, find_lines, line_of


@pytest.mark.parametrize(
    ("text", "keys", "line"),
    [
        ("[a]\nx = 1\n[b]\nx = 2\n", ("b", "x"), 4),
        ("[a.b]\nx = 1\n[c]\n[a]\ny = 2\n", ("a", "y"), 5),
        ("[a]\ny = 2\n[c]\n[a.b]\nx = 1\n", ("a", "b", "x"), 5),
        ("a = {x = 1, y = {z = 2}}\n", ("a", "y", "z"), 1),
        ("a.b.c = 1\na.b.d = 2\n", ("a", "b", "d"), 2),
        ("[a]\nb.c = 1\n", ("a", "b", "c"), 2),
        ('["a"]\n"b" = 1\n\'c\' = 2\n', ("a", "c"), 3),
        ('"a\\u0062" = 1\n', ("ab",), 1),
        ("[ a . b ]\n x . y = 1\n", ("a", "b", "x", "y"), 2),
        ("[[a]]\nx = 1\n[[a]]\nx = 2\n", ("a", 1, "x"), 4),
        ("[[a]]\n[[a.b]]\nx = 1\n[[a.b]]\nx = 2\n[[a]]\n[[a.b]]\nx = 3\n", ("a", 1, "b", 0, "x"), 8),
        ("[[a]]\n[a.b]\nx = 1\n", ("a", 0, "b", "x"), 3),
        ("a = [\n  1,\n  # 2,\n  3, # ]\n]\nb = 1\n", ("a", 1), 4),
        ("a = [\n  1,\n  # 2,\n  3, # ]\n]\nb = 1\n", ("b",), 6),
        ("a = [{x = 1},\n{x = 2}]\n", ("a", 1, "x"), 2),
        ('a = """\n[b]\nx = 1\n"""\n[b]\nx = 2\n', ("b", "x"), 6),
        ("a = '''\n[b]\nx = 1\\'''\n[b]\nx = 2\n", ("b", "x"), 5),
        ('a = """x""""\nb = """"y\\""""\nc = 1\n', ("c",), 3),
        ('a = "#[" # "\nb = 1\n', ("b",), 2),
        ("a = 1 # [b]\n#[b]\n#c = 1\n[b]\nc = 1\n", ("b", "c"), 5),
        ("a = 1979-05-27 07:32:00\nb = 1\n", ("b",), 2),
        ("\r\n[a]\r\nx = 1\r\n", ("a", "x"), 3),
    ],
)
def test_a_key_is_found_however_the_file_is_laid_out(text: str, keys: KeyPath, line: int) -> None:
    tomllib.loads(text)
    assert find_lines(text)[keys] == line


def test_a_key_that_is_missing_is_named_with_the_table_that_lacks_it() -> None:
    lines = find_lines("[a]\n\n[b]\n[b.c]\n")
    assert line_of(lines, ("b", "x")) == 3
    assert line_of(lines, ("b", "c", "x")) == 4
    assert line_of(lines, ("d", "x")) == 1


def paths(values: object, above: KeyPath = ()) -> Iterator[KeyPath]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from paths(value, (*above, key))


trees = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), trees, max_size=4))
def test_every_key_of_any_file_has_a_line(values: dict[str, object]) -> None:
    text = tomlkit.dumps(values)
    try:
        again = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    lines = find_lines(text)
    assert set(paths(again)) <= set(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
