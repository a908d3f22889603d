"""The results of several people's answers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collection.answers import AnswerBook, Answers, Standing
from edge_agent.collection.label_entry import LabelEntry, parse_entry

ITEMS = [UUID(int=number) for number in range(3)]
LABELS = ["benign", "pre-b", "pro-b", "not_usable", "skip"]


def entry(number: int, item: UUID = ITEMS[0], label: str | None = "benign", undoes: UUID | None = None) -> LabelEntry:
    return LabelEntry(
        id=UUID(int=1000 + number),
        at=datetime(2026, 11, 29, tzinfo=UTC),
        by="work",
        item=item,
        set="classes",
        label=label,
        undoes=undoes,
    )


def answers(*labels: str) -> Answers:
    return Answers(tuple(entry(number, label=label) for number, label in enumerate(labels)))


@pytest.mark.parametrize(
    ("given_labels", "model", "label"),
    [
        ([], None, None),
        (["skip"], "benign", None),
        (["benign"], None, "benign"),
        (["benign"], "benign", "benign"),
        (["benign"], "pre-b", None),
        (["not_usable"], "pre-b", None),
        (["benign", "benign"], "pre-b", "benign"),
        # The model's answer does not count.
        (["benign", "pre-b"], "pre-b", None),
        (["benign", "pre-b", "pre-b"], None, "pre-b"),
        (["benign", "pre-b", "pro-b"], None, None),
        (["benign", "pre-b", "pre-b", "benign"], None, None),
        (["benign", "skip", "benign"], "pre-b", "benign"),
        (["not_usable", "not_usable"], "benign", "not_usable"),
    ],
)
def test_two_people_who_agree_settle_it(given_labels: list[str], model: str | None, label: str | None) -> None:
    found = answers(*given_labels)
    assert found.label(model) == label
    has_opinion = any(each != "skip" for each in given_labels)
    expected = Standing.LABELLED if label else Standing.DISPUTED if has_opinion else Standing.UNLABELLED
    assert found.standing(model) is expected


histories = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ITEMS), st.sampled_from(LABELS)),
        st.integers(0, 30),  # undo the entry with that number
    ),
    max_size=20,
)


def entries_of(history: list[tuple[UUID, str] | int]) -> list[LabelEntry]:
    return [
        entry(number, label=None, undoes=UUID(int=1000 + step))
        if isinstance(step, int)
        else entry(number, step[0], step[1])
        for number, step in enumerate(history)
    ]


def model_of(entries: list[LabelEntry]) -> dict[UUID, list[str]]:
    """The opinions that count, found in the simplest way."""
    undone = {each.undoes for each in entries}
    return {
        item: [
            each.label
            for each in entries
            if each.item == item and each.label not in {None, "skip"} and each.id not in undone and each.label
        ]
        for item in ITEMS
    }


@given(histories, st.randoms(use_true_random=False))
def test_the_book_says_what_counting_says_in_any_order(history: list[tuple[UUID, str] | int], random: object) -> None:
    entries = entries_of(history)
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's
    for order in (entries, shuffled, entries + entries):
        book = AnswerBook.of(order)
        for item, expected in model_of(entries).items():
            found = book.answers("classes", item)
            assert Counter(each.label for each in found.opinions) == Counter(expected)
            assert book.is_labelled(item) == bool(expected)
            assert book.answers("other", item).entries == ()


@given(histories, st.sampled_from([None, "benign", "pre-b"]))
def test_a_label_counts_only_with_the_most_votes(history: list[tuple[UUID, str] | int], model: str | None) -> None:
    entries = entries_of(history)
    book = AnswerBook.of(entries)
    for item, opinions in model_of(entries).items():
        label = book.answers("classes", item).label(model)
        votes = Counter(opinions)
        if label is None:
            assert len(votes) != 1 or (len(opinions) == 1 and model not in {None, *opinions})
        else:
            assert all(votes[label] > votes[other] for other in votes if other != label)
            assert votes[label] >= 2 or (len(opinions) == 1 and model in {None, label})


@given(histories)
def test_undoing_the_last_answer_is_as_if_it_had_not_been_given(history: list[tuple[UUID, str] | int]) -> None:
    entries = entries_of(history)
    book = AnswerBook.of(entries)
    last = book.last("classes", "work")
    if last is None:
        assert all(each.undoes is not None or book.is_undone(each.id) for each in entries)
        return
    book.take(entry(500, last.item, None, last.id))
    without = AnswerBook.of([each for each in entries if each.id != last.id])
    for item in ITEMS:
        assert book.answers("classes", item) == without.answers("classes", item)
        assert book.is_labelled(item) == without.is_labelled(item)
    assert book.last("classes", "somebody-else") is None


@given(st.binary(max_size=300))
def test_any_line_is_an_entry_or_none(line: bytes) -> None:
    found = parse_entry(line)
    assert found is None or parse_entry(found.to_json()) == found


@given(st.data())
def test_an_entry_reads_as_it_was_written_and_half_of_it_not_at_all(data: st.DataObject) -> None:
    written = entry(1, label=data.draw(st.sampled_from(LABELS))).to_json()
    assert parse_entry(written) is not None
    assert parse_entry(written[: data.draw(st.integers(0, len(written) - 1))]) is None
    assert b"\n" not in written


@pytest.mark.parametrize("by", ["Dr. Ada Example", "", "a@b", "x" * 65])
def test_whoever_labels_is_named_by_a_role(by: str) -> None:
    line = entry(1).to_json().replace(b'"work"', f'"{by}"'.encode())
    assert parse_entry(line) is None
