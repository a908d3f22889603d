"""Tables and figures as Markdown, for the cards."""

from __future__ import annotations


def table(*rows: tuple[str, ...]) -> str:
    """A table whose first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])


def percent(ratio: float | None) -> str:
    """Percent to two decimals; "not defined" for None."""
    return "not defined" if ratio is None else f"{100 * ratio:.2f} %"


def interval(ratios: tuple[float, float]) -> str:
    """A 95 % interval of ratios, in percent."""
    low, high = ratios
    return f"95 %: {percent(low)} to {percent(high)}"
