from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.bench.against import contenders
from edge.bench.against.contender import Contender
from edge.bench.against.contenders import CONTENDERS, open_contenders, require_known
from edge.bench.against.onnx_runtime import open_default
from edge.bundle import Bundle
from edge.errors import BackendError, ConfigError


def nothing(_step: str) -> None:
    pass


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[contenders.Open], None]:
    """Puts another way of running the model in the place of OpenCV."""

    def put(open_: contenders.Open) -> None:
        monkeypatch.setattr(contenders, "CONTENDERS", {**CONTENDERS, "opencv": open_})

    return put


def test_contenders_with_our_labels_are_opened_and_say_so(
    bundle: Bundle, images: list[Path]
) -> None:
    steps: list[str] = []
    names = ["onnxruntime-default", "opencv", "opencv"]
    opened = open_contenders(names, bundle, images, on_step=steps.append)
    assert [one.subject for one in opened.contenders] == ["onnxruntime-default", "opencv"]
    for entry in opened.entries:
        assert entry.ran
        assert entry.why_not is None
        assert entry.version
        assert (entry.labels_compared, entry.labels_equal) == (6, 6)
    assert len(steps) == 3
    for contender in opened.contenders:
        assert [contender.label(path) for path in images[:3]] == ["red", "green", "blue"]
    opened.close()


def test_contender_that_cannot_be_opened_says_why_in_a_line(
    bundle: Bundle, images: list[Path], give: Callable[[contenders.Open], None]
) -> None:
    def fail(_subject: str, _bundle: Bundle, _threads: int) -> Contender:
        raise BackendError("opencv is not installed. pip install it")

    give(fail)
    opened = open_contenders(["opencv", "onnxruntime-default"], bundle, images, on_step=nothing)
    refused, ran = opened.entries
    assert refused.to_dict() == {
        "subject": "opencv",
        "ran": False,
        "why_not": "opencv is not installed. pip install it",
        "version": None,
        "labels_compared": 0,
        "labels_equal": 0,
    }
    assert ran.ran
    opened.close()


def test_contender_whose_library_fails_in_its_own_way_is_an_entry(
    bundle: Bundle, images: list[Path], give: Callable[[contenders.Open], None]
) -> None:
    class ForeignError(Exception):
        pass

    def open_failing(subject: str, bundle_: Bundle, threads: int) -> Contender:
        good = open_default(subject, bundle_, threads)

        def label(_path: Path) -> str:
            raise ForeignError("kernel 7 failed\nat line 3")

        return Contender(subject, good.version, threads, good.session, label)

    give(open_failing)
    opened = open_contenders(["opencv"], bundle, images, on_step=nothing)
    assert opened.contenders == ()
    assert opened.entries[0].why_not == "ForeignError: kernel 7 failed"
    assert opened.entries[0].version


def test_contender_with_other_labels_is_not_measured(
    bundle: Bundle, images: list[Path], give: Callable[[contenders.Open], None]
) -> None:
    closed: list[str] = []

    def open_wrong(subject: str, bundle_: Bundle, threads: int) -> Contender:
        good = open_default(subject, bundle_, threads)
        close = good.session.close

        def close_session() -> None:
            closed.append(subject)
            close()

        good.session.close = close_session  # type: ignore[method-assign]
        return Contender(subject, good.version, threads, good.session, lambda _path: "red")

    give(open_wrong)
    opened = open_contenders(["opencv"], bundle, images, on_step=nothing)
    (entry,) = opened.entries
    assert opened.contenders == ()
    assert not entry.ran
    assert (entry.labels_compared, entry.labels_equal) == (6, 2)
    assert entry.why_not
    assert entry.why_not.startswith("4 of 6 labels differ")
    assert closed == ["opencv"]


def test_images_that_cannot_be_labelled_are_not_compared(
    bundle: Bundle, images: list[Path]
) -> None:
    images[0].write_bytes(b"no image")
    opened = open_contenders(["onnxruntime-default"], bundle, images, on_step=nothing)
    assert opened.entries[0].labels_compared == 5
    opened.close()


def test_no_image_that_can_be_labelled_is_refused(bundle: Bundle, images: list[Path]) -> None:
    for path in images:
        path.write_bytes(b"no image")
    with pytest.raises(ConfigError, match="none of the images can be labelled"):
        open_contenders(["onnxruntime-default"], bundle, images, on_step=nothing)


def test_unknown_contender_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean openvino"):
        require_known(["opnvino"])
    with pytest.raises(ConfigError, match="Known: torch, torch-compile"):
        require_known(["zzz"])
