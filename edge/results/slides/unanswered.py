"""What persons said of a slide that its result does not say, and that nothing has answered."""

from __future__ import annotations

from collections.abc import Sequence

from edge.results.document.result import SlideResult
from edge.results.slides.history import History
from edge.results.slides.revision import Draft
from edge.results.slides.signing import as_signed, newest_of_each, replaced
from edge.results.verification.verification_file import VerificationFile


def unanswered(
    verifications: Sequence[VerificationFile],
    last: SlideResult | None,
    draft: Draft | None,
    history: History,
) -> list[str]:
    """Why words of persons are held that differ from a result which a person has verified.

    Each stays until its person verifies again or the file is removed, whatever the clocks say and
    whenever one looked: the person may have seen what the one who signed did not.

    Args:
        last: the slide's last result.
        draft: the next one, if there is one.

    Returns:
        A line for each, without ids.
    """
    signed = draft.signed if draft else None
    if draft is not None and signed is not None:
        cells, revision = draft.cells, last.revision + 1 if last else 1
    elif last is not None and last.verification is not None:
        cells, revision = last.cells, last.revision
    else:
        return []
    decided = {(cell.sha256, cell.label) for cell in cells}
    # One that lacks cells, and says of the others what the result says, is in no conflict.
    words = newest_of_each(verifications)
    others = [one for one in words if not decided.issuperset(one.labels.items())]
    if not others:
        return []
    # Reading all results of a slide takes time: only where a word differs.
    used = [*history.verifications_of(verifications[0].slide_key)]
    if signed is not None:
        used.append(as_signed(signed))
    return [
        replaced(one, revision)
        if one.revision < revision
        else f"its verification differs from revision {revision}; verify it again"
        for one in others
        if not any(was.by.id == one.by.id and was.at >= one.at for was in used)
    ]
