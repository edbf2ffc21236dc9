"""Tests for edge.results.review.audit.agreement and readers, with a real record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edge.results.document.result import Person
from edge.results.review.audit.agreement import Agreement, Share, agreement_of
from edge.results.review.audit.period import Period, week_of
from edge.results.review.audit.readers import Readers, readers_of
from edge.results.review.record.entry import Action, CellChange
from edge.results.review.record.record import Record
from tests.support.review_entries import PERSON, SECOND, START, change, draft, ticking

ALWAYS = Period()


def cells(*pairs: tuple[str | None, str], first: int = 0) -> list[CellChange]:
    """Cells by the model's label and the signed one."""
    return [change(first + n, a, b) for n, (a, b) in enumerate(pairs)]


def agreement(folder: Path, period: Period = ALWAYS) -> Agreement:
    with Record.open(folder) as record:
        return agreement_of(record, period)


def test_agreement_of_each_class_says_what_the_cells_became_and_came_from(tmp_path: Path) -> None:
    signed = cells(
        *[("neutrophil", "neutrophil")] * 8,
        *[("neutrophil", "ig"), ("neutrophil", "artefact"), ("ig", "neutrophil")],
        *[(None, "neutrophil"), (None, "other")],
    )
    with Record.open(tmp_path) as record:
        record.append(draft(Action.SIGN, cells=signed))
    found = agreement(tmp_path).all
    classes = {one.label: one for one in found.classes()}
    assert list(classes) == ["neutrophil", "ig", "artefact", "other"]
    neutrophil = classes["neutrophil"]
    assert neutrophil.agreed == Share(8, 10)
    assert neutrophil.became == {"ig": 1, "artefact": 1}
    assert neutrophil.found == Share(8, 10)
    assert neutrophil.came_from == {"ig": 1, "unidentified": 1}
    assert classes["ig"].agreed == Share(0, 1)
    assert classes["other"].came_from == {"unidentified": 1}
    assert found.unidentified == {"neutrophil": 1, "other": 1}
    assert found.agreed == Share(8, 11)
    assert (found.cells, found.slides) == (13, 1)


def test_share_has_the_exact_interval() -> None:
    # Clopper-Pearson of 8 in 10, as in the tables.
    limits = Share(8, 10).limits
    assert limits is not None
    assert [round(one, 2) for one in limits] == [44.39, 97.48]
    assert Share(8, 10).percent == 80
    assert Share(0, 0).limits is None
    assert Share(0, 0).percent is None


def test_second_signature_of_a_slide_replaces_the_first(tmp_path: Path) -> None:
    with Record.open(tmp_path) as record:
        record.append(draft(Action.SIGN, cells=cells(("ig", "ig"))))
        record.append(draft(Action.SIGN, sample="other", cells=cells(("ig", "ig"))))
        again = cells(("ig", "neutrophil"))
        record.append(draft(Action.SIGN, by=SECOND, text="looked again", cells=again))
    found = agreement(tmp_path)
    assert found.all.agreed == Share(1, 2)
    assert (found.all.slides, found.replaced) == (2, 1)
    signers = {key: (one.signatures, one.again) for key, one in found.signers.items()}
    assert signers == {"mm": (2, 0), "kk": (1, 1)}
    assert found.signers["kk"].corrected == 1


def test_weeks_are_those_of_the_day_where_the_person_signed(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=10))
    # In UTC it is still Sunday.
    monday = datetime(2026, 11, 23, 1, tzinfo=zone)
    times = iter([datetime(2026, 11, 22, 12, tzinfo=UTC), monday, monday + timedelta(days=7)])
    with Record.open(tmp_path, clock=lambda: next(times)) as record:
        for sample in "abc":
            record.append(draft(Action.SIGN, sample=sample))
    found = agreement(tmp_path)
    assert {week: pairs.slides for week, pairs in found.weeks.items()} == {
        "2026-W47": 1,
        "2026-W48": 1,
        "2026-W49": 1,
    }
    in_week = agreement(tmp_path, Period(date(2026, 11, 23), date(2026, 11, 29)))
    assert list(in_week.weeks) == ["2026-W48"]
    assert in_week.signers["mm"].signatures == 1


def test_week_of_the_first_of_january_may_be_of_the_year_before() -> None:
    assert week_of(datetime(2027, 1, 1, tzinfo=UTC)) == "2026-W53"


def test_cells_count_for_the_model_that_labelled_them(tmp_path: Path) -> None:
    signed = [
        change(1, "ig", "ig", model="c" * 64),
        change(2, "ig", "neutrophil", model="d" * 64),
        change(3, "ig", "neutrophil", model="d" * 64),
    ]
    with Record.open(tmp_path) as record:
        record.append(draft(Action.SIGN, cells=signed))
    models = agreement(tmp_path).models
    shares = {key[0]: (pairs.agreed, pairs.slides) for key, pairs in models.items()}
    assert shares == {"c": (Share(1, 1), 1), "d": (Share(0, 2), 1)}


@pytest.fixture
def blind(tmp_path: Path) -> Path:
    """Two persons who read three cells blind, then agree on them, and one of them signs."""
    with Record.open(tmp_path, clock=ticking()) as record:

        def decide(by: Person, number: int, after: str) -> int:
            return record.append(draft(by=by, cells=[change(number, "ig", after)])).number

        decide(PERSON, 1, "ig")
        decide(SECOND, 1, "neutrophil")
        wrong = decide(PERSON, 2, "platelet")
        record.append(draft(Action.UNDO, by=PERSON, undoes=wrong))
        decide(PERSON, 2, "monocyte")
        decide(PERSON, 3, "ig")
        record.append(draft(Action.FINISH, by=PERSON))
        decide(SECOND, 2, "monocyte")
        decide(SECOND, 3, "ig")
        record.append(draft(Action.FINISH, by=SECOND))
        decide(PERSON, 1, "neutrophil")
        record.append(draft(Action.SIGN, by=PERSON))
        decide(SECOND, 2, "ig")
    return tmp_path


def readers(folder: Path, period: Period = ALWAYS) -> Readers:
    with Record.open(folder) as record:
        return readers_of(record, period)


def test_readers_are_compared_as_each_decided_before_seeing_the_other(blind: Path) -> None:
    found = readers(blind)
    assert found.slides == 1
    assert found.counts == {
        ("ig", "neutrophil"): 1,
        ("monocyte", "monocyte"): 1,
        ("ig", "ig"): 1,
    }
    assert found.agreed == Share(2, 3)
    assert found.classes() == [
        ("monocyte", Share(1, 1), {}),
        ("ig", Share(1, 2), {"neutrophil": 1}),
    ]
    # By chance they agree on (2 x 1 + 1 x 1) / 9 of the cells.
    assert found.kappa == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))


def test_readers_count_when_the_second_has_finished(blind: Path) -> None:
    after = Period(since=START.date() + timedelta(days=1))
    assert readers(blind, after).slides == 0
    with Record.open(blind) as record:
        record.append(draft(Action.FINISH, sample="alone"))
        record.append(draft(Action.FINISH, sample="alone"))
    assert readers(blind).slides == 1


def test_kappa_of_readers_who_gave_one_label_alone_is_not_told() -> None:
    assert Readers().kappa is None
    found = Readers(slides=1)
    found.counts.update([("ig", "ig")] * 4)
    assert found.kappa is None
