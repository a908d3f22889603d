from __future__ import annotations

import re
from collections.abc import Iterator

from edge_agent import errors
from edge_agent.errors import EdgeAgentError, EndOfFrames


def all_errors(base: type[EdgeAgentError] = EdgeAgentError) -> Iterator[type[EdgeAgentError]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith(f"{errors.__name__}."):
            yield kind
            yield from all_errors(kind)


def test_every_error_has_a_code_of_its_own_and_says_what_to_do() -> None:
    kinds = list(all_errors())
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", code) for code in codes)
    assert all(kind.remedy for kind in kinds if kind is not EndOfFrames)
    assert all(kind.__doc__ for kind in kinds)


def test_the_tree_in_the_documentation_is_the_tree_in_the_code() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +(\w+)", errors.__doc__ or ""))
    assert drawn == {kind.__name__: kind.code for kind in all_errors()}


def test_an_error_tells_code_message_and_remedy_in_one_line() -> None:
    assert str(errors.ConfigError("agent.toml is wrong.", remedy="Mend it.")) == (
        "config_invalid: agent.toml is wrong. Mend it."
    )
