"""Sums up the entries of the label file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from edge_agent.collection.label_entry import LabelEntry


class Standing(StrEnum):
    """The state of a frame in a label set."""

    UNLABELLED = "unlabelled"
    """Nobody has said what it shows."""
    LABELLED = "labelled"
    """One person has said what it shows, or at least two agree."""
    DISPUTED = "disputed"
    """People disagree, or a single person disagrees with the model."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The entries about one frame in one set, without undone ones, in the file's order."""

    entries: tuple[LabelEntry, ...] = ()

    @property
    def opinions(self) -> tuple[LabelEntry, ...]:
        """The entries that say what it shows."""
        return tuple(each for each in self.entries if each.is_opinion)

    def label(self, model_label: str | None) -> str | None:
        """The label that counts; None for a frame that is unlabelled or disputed.

        ``model_label`` is the model's label, if the set has it. A single opinion counts unless the model said
        otherwise. Of several opinions, the most frequent one counts if at least two people gave it and no other has as
        many, so their order does not matter. The model has no vote, because it may be trained with the label.
        """
        opinions = self.opinions
        if not opinions:
            return None
        if len(opinions) == 1:
            return opinions[0].label if model_label in {None, opinions[0].label} else None
        (first, first_count), *others = Counter(each.label for each in opinions).most_common(2)
        return first if first_count > 1 and all(count < first_count for _, count in others) else None

    def standing(self, model_label: str | None) -> Standing:
        """The frame's state in the set."""
        if not self.opinions:
            return Standing.UNLABELLED
        return Standing.DISPUTED if self.label(model_label) is None else Standing.LABELLED


NO_ANSWERS = Answers()


@dataclass(slots=True)
class AnswerBook:
    """All entries so far, by set and frame. Taking an entry twice changes nothing."""

    _entries: dict[UUID, LabelEntry] = field(default_factory=dict)
    _positions: dict[UUID, int] = field(default_factory=dict)
    _undone: set[UUID] = field(default_factory=set)
    _by_item: dict[tuple[str, UUID], list[UUID]] = field(default_factory=lambda: defaultdict(list))
    _opinions: Counter[UUID] = field(default_factory=Counter)
    """Number of opinions about each frame in any set."""

    @classmethod
    def of(cls, entries: Iterable[LabelEntry]) -> AnswerBook:
        """Count all entries of a file."""
        book = cls()
        for each in entries:
            book.take(each)
        return book

    def take(self, entry: LabelEntry) -> None:
        """Count one more entry. An undo may come before the entry that it undoes, as in a merged file."""
        if entry.id in self._entries:
            return
        self._positions[entry.id] = len(self._entries) + 1
        self._entries[entry.id] = entry
        if entry.undoes is not None:
            if entry.undoes not in self._undone:
                self._undone.add(entry.undoes)
                undone = self._entries.get(entry.undoes)
                if undone is not None and undone.is_opinion:
                    self._opinions[undone.item] -= 1
            return
        self._by_item[entry.set, entry.item].append(entry.id)
        if entry.is_opinion and entry.id not in self._undone:
            self._opinions[entry.item] += 1

    def find(self, entry_id: UUID) -> LabelEntry | None:
        """The entry with this id."""
        return self._entries.get(entry_id)

    def is_undone(self, entry_id: UUID) -> bool:
        """Whether the entry with this id was undone."""
        return entry_id in self._undone

    def answers(self, set_name: str, item: UUID) -> Answers:
        """The answers about a frame in a set."""
        ids = self._by_item.get((set_name, item))
        if ids is None:
            return NO_ANSWERS
        return Answers(tuple(self._entries[each] for each in ids if each not in self._undone))

    def order(self, set_name: str, item: UUID) -> int:
        """A number that grows with the time of the last answer about a frame; 0 if there is none."""
        ids = self._by_item.get((set_name, item))
        return 0 if not ids else self._positions[ids[-1]]

    def is_labelled(self, item: UUID) -> bool:
        """Whether there is an opinion about a frame in any set."""
        return self._opinions[item] > 0

    def last(self, set_name: str, by: str) -> LabelEntry | None:
        """The newest entry of a set that somebody in this role made and that is not undone."""
        return next(
            (
                each
                for each in reversed(self._entries.values())
                if each.undoes is None and each.set == set_name and each.by == by and each.id not in self._undone
            ),
            None,
        )

    @property
    def entries(self) -> Mapping[UUID, LabelEntry]:
        """All entries by their id, in the file's order."""
        return self._entries
