"""Tests for daemon.results.outage: folders that refuse while others do not."""

from __future__ import annotations

import pytest

from tests.daemon.results.outage_case import POLICY, A, B, Case, said


def test_one_image_of_a_folder_is_tried_often_and_frees_the_others(case: Case) -> None:
    delays = [case.refuse(A, after_s=0.0) for _ in range(16)]
    assert delays == [1.0, *[60.0] * 15]
    for _ in range(30):
        # The probe is refused again, and comes again soon.
        assert case.refuse(A, after_s=2.0) == 2.0
    assert case.freed == 0
    case.write(A, after_s=2.0)
    assert case.freed == 1


def test_probes_of_many_folders_are_few(case: Case) -> None:
    folders = [A.with_name(str(number)) for number in range(1000)]
    delays = [case.refuse(folder, after_s=0.0) for folder in folders]
    # 8 at a time, then 8 every two seconds as long as the longest delay.
    turns = [delay for delay in delays if delay < 60.0]
    assert turns[:16] == [*[1.0] * 8, *[3.0] * 8]
    assert delays == [*turns, *[60.0] * (1000 - len(turns))]
    assert len(turns) == 8 * 30


def test_folder_that_refuses_for_good_while_others_do_not_is_said_once(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    for _ in range(500):
        case.write(B, after_s=1.0)
        assert case.refuse(A, after_s=1.0) == 2.0
    assert said(caplog) == ["refused", "again"]
    assert (case.locks.are_held, case.freed) == (True, 0)
    assert "some folders" in case.reasons[0]


def test_known_folder_that_refuses_when_nothing_else_is_written_is_trouble(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.refuse(A)
    case.write(B)
    for _ in range(11):
        case.refuse(A, after_s=60.0)
    assert not case.locks.are_held
    assert said(caplog) == ["refused", "again", "refused"]


def test_folder_whose_images_are_gone_is_forgotten_after_a_while(case: Case) -> None:
    case.refuse(A)
    case.write(B)
    case.outage.review()
    assert case.reasons
    case.now_s += 10 * POLICY.max_delay_s
    case.outage.review()
    assert not case.reasons
    assert case.refuse(A) == POLICY.first_delay_s


def test_folders_that_refuse_are_remembered_up_to_a_number(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.results.outage._MAX_FOLDERS", 10)
    for number in range(30):
        case.refuse(A.with_name(str(number)))
    case.now_s += POLICY.max_delay_s
    # The second refusal of a folder that is remembered, the first of one that is forgotten.
    delays_s = [case.refuse(A.with_name(str(n)), after_s=10.0) for n in (25, 29, 0)]
    assert delays_s == [POLICY.delay_s(2), POLICY.delay_s(2), POLICY.first_delay_s]
