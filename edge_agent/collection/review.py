"""Finds the frames that wait for a label, and the progress of a label set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from edge_agent.collection.answers import NO_ANSWERS, AnswerBook, Standing
from edge_agent.collection.kept_frame import FrameSummary
from edge_agent.collection.settings import NOT_USABLE, LabelSet
from edge_agent.collection.state import LabelOption, LabelSetState, Offered
from edge_agent.contracts import Specimen

_AHEAD_COUNT = 3


class Queue(StrEnum):
    """What a frame waits for."""

    UNLABELLED = "unlabelled"
    SECOND_LOOK = "second-look"


_WAITING_FOR = {Queue.UNLABELLED: Standing.UNLABELLED, Queue.SECOND_LOOK: Standing.DISPUTED}


def comparable_label(frame: FrameSummary, label_set: LabelSet) -> str | None:
    """The model's label of a frame, if the set has that label."""
    label = frame.model_label
    return label if label is not None and label in label_set.codes else None


def standing(frame: FrameSummary, label_set: LabelSet, book: AnswerBook) -> Standing:
    """The state of a frame in a set."""
    answers = book.answers(label_set.name, frame.id)
    # This is the case for most frames of a large collection.
    if answers is NO_ANSWERS:
        return Standing.UNLABELLED
    return answers.standing(comparable_label(frame, label_set))


def label_of(frame: FrameSummary, label_set: LabelSet, book: AnswerBook) -> str | None:
    """The label that counts for a frame, ``not_usable`` included; None while there is none."""
    answers = book.answers(label_set.name, frame.id)
    return None if answers is NO_ANSWERS else answers.label(comparable_label(frame, label_set))


def waiting(
    frames: Iterable[FrameSummary], label_set: LabelSet, book: AnswerBook, queue: Queue
) -> Sequence[FrameSummary]:
    """The frames of a queue, oldest first; an answered frame comes later, the later it was answered."""
    wanted = _WAITING_FOR[queue]
    found = [each for each in frames if standing(each, label_set, book) is wanted]
    return sorted(found, key=lambda frame: book.order(label_set.name, frame.id))


def offer_next(frames: Iterable[FrameSummary], label_set: LabelSet, book: AnswerBook, queue: Queue) -> Offered | None:
    """The frame to be labelled now; None if the queue is empty."""
    found = waiting(frames, label_set, book, queue)
    if not found:
        return None
    first = found[0]
    specimen = first.result.specimen
    return Offered(
        item=first.id,
        captured_at=first.result.captured_at,
        specimen=None if specimen is None else Specimen(id=specimen.id, slide=specimen.slide),
        skipped=queue is Queue.UNLABELLED and book.order(label_set.name, first.id) > 0,
        waiting_count=len(found),
        then=tuple(each.id for each in found[1 : 1 + _AHEAD_COUNT]),
    )


def describe_set(frames: Sequence[FrameSummary], label_set: LabelSet, book: AnswerBook) -> LabelSetState:
    """A set with its counts."""
    standings = Counter(standing(each, label_set, book) for each in frames)
    labels = Counter(label_of(each, label_set, book) for each in frames)
    return LabelSetState(
        name=label_set.name,
        question=label_set.question,
        labels=tuple(
            LabelOption(
                code=each.code,
                name=each.name,
                meaning=each.meaning or each.name,
                malignant=each.malignant,
                labelled_count=labels[each.code],
            )
            for each in label_set.labels
        ),
        unlabelled_count=standings[Standing.UNLABELLED],
        labelled_count=standings[Standing.LABELLED] - labels[NOT_USABLE],
        not_usable_count=labels[NOT_USABLE],
        disputed_count=standings[Standing.DISPUTED],
    )
