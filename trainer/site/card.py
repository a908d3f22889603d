"""``card.md`` of a head: what to know before trusting it, in plain words."""

from __future__ import annotations

from edge_agent.contracts.head import HeadFigures
from trainer.reports.markdown import table
from trainer.site.summary import AdaptReport
from trainer.site.wording import counted, fine_tuned, interval, joined, percent, reasons


def head_card(report: AdaptReport, *, limits: str, demonstration: bool) -> str:
    """The card as Markdown. ``limits`` is the data set's own description of its limits."""
    pictures = report.pictures
    return f"""\
# {report.name} {report.version}

{_opening(report, demonstration=demonstration)}

## What it tells apart

{_labels(report)}

It looks at whole fields and uses the features `{report.features}` of the bundle {report.parent.name} \
{report.parent.version}. It works with no other bundle (SHA-256 of its model: `{report.parent.sha256}`).

## What it was fitted to

* {counted(pictures.images_count, "picture")} of {pictures.dataset}: \
{joined({each.code: each.images_count for each in pictures.classes})}.
* Where they come from: {pictures.source}
* {_groups(report)}
* {_left_out(report)}
* Hash of the pictures' hashes: `{pictures.sha256}`. `examples.csv` has the hash of each; no picture is in this folder.

## How good it is

{_figures(report.figures, pictures.images_count)}

{_curve(report)}{_fine_tuned(report)}

## What gives the labels away

{_give_aways(report)}

## What it refuses

{_refusals(report)}

## When light, focus or scale change

{_shifts(report)}

## What this does not show

* One site and one device: nothing here says how it does anywhere else, or with another camera, stain or scanner.
* The labels are those of people at the site. The head can be no better than they are.
* {_independence(report)}
{_as_items(limits)}

## How to use it

* Files: `edge-agent classify --bundle {report.parent.name} --head THIS_FOLDER PICTURES`
* A device: name this folder as `head` in the section `[analysis]` of `agent.toml`.
* Check the folder first: `head.json` has the SHA-256 of every other file. If there is a `signature`, it is of \
`head.json` and says who vouches for it.
* Fit it again when camera, light, stain or magnification change.

`head.json` names the command and the software that it was fitted with.

**Research use only.** Not a medical device, not for diagnosis, treatment or triage.
"""


def _opening(report: AdaptReport, *, demonstration: bool) -> str:
    parts = []
    if demonstration:
        parts.append("**Demonstration.** The pictures are not of real smears. Its answers have no meaning.")
    if report.provisional:
        parts.append("**Provisional.** The device gives no label with this head yet:")
        parts.append("\n".join(f"* {each}" for each in report.lacking))
    else:
        parts.append("A small classifier fitted to the pictures of one site. **Research use only.**")
    return "\n\n".join(parts)


def _labels(report: AdaptReport) -> str:
    return table(
        ("code", "name", "malignant", "meaning"),
        *(
            (f"`{each.code}`", _cell(each.display_name), "yes" if each.malignant else "no", _cell(each.meaning))
            for each in report.labels
        ),
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _as_items(limits: str) -> str:
    """Format limits as items of a list; many descriptions have them as a list already."""
    return limits if limits.startswith("* ") else f"* {limits}"


def _groups(report: AdaptReport) -> str:
    pictures = report.pictures
    if pictures.specimens_count is not None:
        return f"They show {counted(pictures.specimens_count, 'specimen')}, which were kept apart in every division."
    return (
        f"No specimens are named. Near-duplicates and pictures of the same time were kept together: "
        f"{counted(pictures.groups_count, 'group')}."
    )


def _left_out(report: AdaptReport) -> str:
    pictures = report.pictures
    unreadable = "Every file could be read"
    if pictures.unreadable_count:
        unreadable = f"Skipped because not readable: {counted(pictures.unreadable_count, 'file')}"
    if not pictures.enlarged_count:
        return f"{unreadable}."
    return f"{unreadable}; {counted(pictures.enlarged_count, 'picture')} smaller than a field had to be enlarged."


def _figures(figures: HeadFigures | None, images_count: int) -> str:
    if figures is None:
        return "This was not measured."
    rows = table(
        ("", "pictures", "right", "95 % interval"),
        ("all", str(images_count), percent(figures.accuracy_ratio), interval(figures.accuracy_interval_ratio)),
        *(
            (f"`{each.code}`", str(each.images_count), percent(each.recall_ratio), interval(each.recall_interval_ratio))
            for each in figures.classes
        ),
    )
    area = ""
    if figures.auroc_ratio is not None:
        area = f" Area under the ROC curve, mean over the classes: {figures.auroc_ratio:.3f}."
    return (
        "Each picture was judged once by a model that was fitted without it and its group (nested cross-validation). "
        f"Refused pictures are counted too.\n\n{rows}\n\n"
        f"On average its probabilities are off by {percent(figures.calibration_error_ratio)}.{area}"
    )


def _curve(report: AdaptReport) -> str:
    curve = report.findings.learning_curve
    if curve is None:
        return "What more labels would bring was not measured."
    sentences = "\n".join(f"* {each.sentence}" for each in curve.advice)
    return f"What more labels would bring, each with its 95 % interval:\n\n{sentences}"


def _fine_tuned(report: AdaptReport) -> str:
    tuned = report.findings.fine_tuned
    return "" if tuned is None else f"\n\n{fine_tuned(tuned)}"


def _give_aways(report: AdaptReport) -> str:
    found = report.findings.give_aways
    if found is None:
        return "This was not measured."
    if not found:
        return "Nothing besides the picture itself is known of these pictures, so nothing could be tried."
    rows = table(
        ("known alone", "names the label rightly", "95 % interval", "by chance", "gives it away"),
        *(
            (
                each.name,
                percent(each.accuracy_ratio),
                interval(each.accuracy_interval_ratio),
                percent(each.chance_ratio),
                "**yes**" if each.gives_away else "no",
            )
            for each in found
        ),
    )
    warnings = "\n\n".join(f"**Warning.** {each}" for each in report.findings.warnings)
    return f"{warnings}\n\n{rows}" if warnings else rows


def _refusals(report: AdaptReport) -> str:
    own, foreign = report.findings.own_refusals, report.findings.foreign_refusals
    if own is None:
        return "This was not measured."
    rows = table(
        ("pictures", "number", "refused", "95 % interval", "why"),
        *(
            (
                _cell(each.name),
                str(each.images_count),
                percent(each.refused_ratio),
                interval(each.refused_interval_ratio),
                reasons(each),
            )
            for each in (own, *(foreign or ()))
        ),
    )
    rest = "" if foreign is not None else "\n\nIt was not tried on pictures of other laboratories."
    return f"A picture that looks unlike those it was fitted to gets no label.\n\n{rows}{rest}"


def _shifts(report: AdaptReport) -> str:
    shifts = report.findings.shifts
    if not shifts:
        return "This was not measured."
    rows = table(
        ("change", "how much", "right", "95 % interval", "refused"),
        *(
            (
                each.shift,
                each.strength,
                percent(each.accuracy_ratio),
                interval(each.accuracy_interval_ratio),
                percent(each.refused_ratio),
            )
            for each in shifts
        ),
    )
    return f"On {counted(shifts[0].images_count, 'held-out picture')}, refused or not:\n\n{rows}"


def _independence(report: AdaptReport) -> str:
    if report.pictures.specimens_count is None:
        return (
            "Which pictures show the same person is not known, so some persons may be on both sides of a division: "
            "**the figures are probably too good**."
        )
    return f"Figures on {counted(report.pictures.specimens_count, 'specimen')} are no figures on a population."
