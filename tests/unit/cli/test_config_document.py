from __future__ import annotations

import tomllib

import pytest
import tomlkit
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.cli.config_document import ConfigDocument

names = st.sampled_from(["a", "b", "c", "d e", "\u00e9"])
scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=6), st.sampled_from(["# x", "[a]", "\n", '"']))
tables = st.recursive(
    scalars,
    lambda inner: st.one_of(st.dictionaries(names, inner, max_size=3), st.lists(scalars, max_size=2)),
    max_leaves=9,
)


@st.composite
def layouts(draw: st.DrawFn) -> str:
    """The same values in headers, inline tables and dotted keys, with comments in between."""

    def inline(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{tomlkit.key(k).as_string()} = {inline(v)}" for k, v in value.items()) + "}"
        return str(tomlkit.item(value).as_string())

    lines: list[str] = []
    later: list[tuple[str, dict[str, object]]] = []
    for key, value in draw(st.dictionaries(names, tables, max_size=4)).items():
        name = tomlkit.key(key).as_string()
        way = draw(st.sampled_from(["inline", "dotted", "header"])) if isinstance(value, dict) and value else "inline"
        assert way == "inline" or isinstance(value, dict)
        if way == "dotted" and isinstance(value, dict):
            lines += [f"{name} . {tomlkit.key(k).as_string()} = {inline(v)} # kept" for k, v in value.items()]
        elif way == "header" and isinstance(value, dict):
            later.append((name, value))
        else:
            lines.append(f"{name} = {inline(value)} # kept")
    deeper: list[str] = []
    for name, table in later:
        lines += ["", f"[{name}] # kept"]
        for key, value in table.items():
            inner = tomlkit.key(key).as_string()
            if isinstance(value, dict) and draw(st.booleans()):
                deeper += [
                    f"[ {name} . {inner} ]",
                    *(f"{tomlkit.key(k).as_string()} = {inline(v)}" for k, v in value.items()),
                ]
            else:
                lines.append(f"  {inner} = {inline(value)}")
    return "\n".join([*lines, *deeper]) + draw(st.sampled_from(["", "\n"]))


@example("[m]\nt.c = 1\n", [(["m", "t", "c"], None)])
@example("a = {} # kept", [(["a", "b", "a"], 0), (["a", "b", "a"], None)])
@given(
    layouts(), st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), st.one_of(st.none(), scalars)), max_size=4)
)
def test_whatever_the_layout_a_change_changes_that_value_alone(
    text: str, changes: list[tuple[list[str], str | int | bool | None]]
) -> None:
    document = ConfigDocument.parse(text)
    assert document.text == text
    for path, value in changes:
        above = [document.get(*path[:length]) for length in range(1, len(path))]
        if any(each is not None and not isinstance(each, dict) for each in above):
            continue
        if value is None:
            document.remove(*path)
            assert document.get(*path) is None
        elif not isinstance(document.get(*path), dict | list):
            document.set(tuple(path), value)
            assert document.get(*path) == value
    assert tomllib.loads(document.text) == document.values


@pytest.mark.parametrize(
    ("text", "path", "value", "after"),
    [
        ("# a\n[m]\nx = 1 # b\n\n# c\n[n]\n", ("m", "x"), 2, "# a\n[m]\nx = 2 # b\n\n# c\n[n]\n"),
        ("[m]\n  x = 1 # b\n\n# c\n[n]\n", ("m", "y"), "z", '[m]\n  x = 1 # b\n  y = "z"\n\n# c\n[n]\n'),
        ("m = {x = 1}\n", ("m", "y"), True, "m = {x = 1, y = true}\n"),
        ("[n]\n", ("m", "y"), 1, "[n]\n\n[m]\ny = 1\n"),
    ],
)
def test_a_change_is_as_small_as_it_can_be(text: str, path: tuple[str, ...], value: str | int, after: str) -> None:
    document = ConfigDocument.parse(text)
    document.set(path, value)
    assert document.text == after
