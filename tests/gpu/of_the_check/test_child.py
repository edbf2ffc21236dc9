"""A worker process that dies, hangs or cannot start, against the check that asks it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.errors import BackendError
from tests.gpu.budget import Answer, Figures, Proven, Step
from tests.gpu.child import Child
from tests.gpu.setting import Found, Setting

COMMAND = (sys.executable, "-m", "tests.support.dying_worker")
FP16 = Proven(("fp16",))


@pytest.fixture
def arguments(tmp_path: Path) -> Path:
    path = tmp_path / "arguments.json"
    path.write_text("{}")
    return path


@pytest.fixture
def child(arguments: Path) -> Iterator[Child]:
    found = Child(arguments, arguments.with_suffix(".log"), COMMAND)
    yield found
    found.close()


def unused(_setting: Setting) -> Found:
    raise AssertionError("steps are taken in the other process")


def nothing(_figures: Figures) -> None:
    pass


def take(
    child: Child,
    name: str,
    *,
    limit_s: float = 60,
    on_partial: Callable[[Figures], None] = nothing,
    is_alone: bool = False,
) -> Answer:
    step = Step(name, unused, limit_s, 1, is_alone=is_alone)
    return child.take(step, limit_s, FP16, on_partial)


def test_an_answer_is_not_mixed_with_what_a_library_prints(child: Child) -> None:
    answer = take(child, "prove")
    assert (answer.state, answer.lines) == ("ok", ("a line",))
    assert answer.proven == Proven(("fp16", "int8"))


def test_steps_share_a_process_unless_one_is_to_be_alone(child: Child) -> None:
    first, second = (take(child, "prove").figures["pid"] for _ in range(2))
    alone = take(child, "prove", is_alone=True).figures["pid"]
    assert first == second
    assert alone != first


def test_a_segmentation_fault_is_told_with_its_place_and_the_next_step_works(child: Child) -> None:
    partial: list[Figures] = []
    answer = take(child, "crash", on_partial=partial.append)
    assert (answer.state, answer.proven, partial) == ("failed", None, [{"half": 1}])
    assert answer.reason is not None
    assert answer.reason.startswith("the process ended with SIGSEGV in string_at (__init__.py:")
    assert take(child, "prove").state == "ok"


def test_a_process_that_leaves_is_told_with_its_last_words(child: Child) -> None:
    answer = take(child, "leave")
    assert answer.reason == "the process ended with exit code 7: the library gives up"
    assert take(child, "prove").state == "ok"


def test_a_step_beyond_its_limit_is_ended_and_keeps_what_it_said(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.gpu.child._GRACE_S", 0)
    # So that the limit below is that of the step alone.
    child.start()
    partial: list[Figures] = []
    answer = take(child, "hang", limit_s=2, on_partial=partial.append)
    assert answer.reason == "it took longer than its time and was ended"
    assert partial == [{"half": 2}]
    assert take(child, "prove").state == "ok"


def test_a_machine_without_a_gpu_is_told_as_the_worker_found_it(arguments: Path) -> None:
    arguments.write_text(json.dumps({"error": "no NVIDIA driver."}))
    with pytest.raises(BackendError, match=r"^no NVIDIA driver\.$"):
        Child(arguments, arguments.with_suffix(".log"), COMMAND).start()
