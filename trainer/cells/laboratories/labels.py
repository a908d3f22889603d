"""The labels of a cells bundle, in the order of its outputs."""

from __future__ import annotations

from edge_agent.contracts import Label
from trainer.cells.laboratories.sources import TYPES, Meaning

_WORDS = {
    Meaning.BLAST: ("Blast", "a myeloblast or lymphoblast of an acute leukemia, as its laboratory called it"),
    Meaning.LYMPHOCYTE: ("Lymphocyte", "a lymphocyte, also a variant one"),
    Meaning.MONOCYTE: ("Monocyte", "a monocyte"),
    Meaning.NEUTROPHIL: ("Neutrophil", "a neutrophil, segmented or band"),
    Meaning.EOSINOPHIL: ("Eosinophil", "an eosinophil"),
    Meaning.BASOPHIL: ("Basophil", "a basophil"),
    Meaning.IMMATURE_GRANULOCYTE: ("Immature granulocyte", "a promyelocyte, myelocyte or metamyelocyte"),
    Meaning.ERYTHROBLAST: ("Erythroblast", "a nucleated red cell"),
    Meaning.SMUDGE: ("Smudge or other", "a smudged cell, or a nucleus without a cell"),
}

LABELS: tuple[Label, ...] = tuple(
    Label(code=each.value, display_name=_WORDS[each][0], meaning=_WORDS[each][1], malignant=each is Meaning.BLAST)
    for each in TYPES
)
