"""Texts in resources, for people who see nothing else of a resource."""

from __future__ import annotations

import html
import re
from typing import Any

NOTICE = "Research use only. Not a finding about a patient; not verified by a person; not for diagnosis."

_UNPRINTABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that neither a FHIR string nor XML may contain."""


def plain_text(text: str) -> str:
    """``text`` as a FHIR string: printable, never empty, without space at its ends."""
    return _UNPRINTABLE.sub("\ufffd", text).strip() or "(empty)"


def narrative(*sentences: str) -> dict[str, Any]:
    """``text`` of a resource. It always begins by saying what the resource may be used for."""
    paragraphs = "".join(f"<p>{html.escape(plain_text(each), quote=False)}</p>" for each in (NOTICE, *sentences))
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'}
