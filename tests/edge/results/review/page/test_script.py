"""The rules of the page's script: order, groups, what Enter decides, keys, tiles."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from edge.results.document.result import CELL_CLASSES, NOT_COUNTED
from tests.support.page_script import SCRIPT, evaluate, require_node

CLASSES, OTHERS = list(CELL_CLASSES), list(NOT_COUNTED)
# Of the gallery on a screen of 1280 x 800, in CSS pixels.
GALLERY = (709, 692)


def cell(id_: str, label: str | None, confidence: float = 0.9, **more: Any) -> dict[str, Any]:
    """A cell as the API gives it."""
    return {
        "id": id_, "suggested": label, "confidence": confidence, "probabilities": [],
        "label": label, "decided": False, "changed_by": None, "familiar": None, "other": None,
    } | more  # fmt: skip


def groups(cells: list[dict[str, Any]], reading: str = "shared", rejected: int = 0) -> Any:
    code = "page.groupsOf(page.viewed(given.cells, []), given.c, given.o, given.r, given.n)"
    return evaluate(code, cells=cells, c=CLASSES, o=OTHERS, r=reading, n=rejected)


def plan(cells: list[dict[str, Any]], group: str, seen: list[str]) -> Any:
    """What Enter does in a group."""
    code = (
        "(() => { const views = page.viewed(given.cells, []);"
        " const all = page.groupsOf(views, given.c, given.o, 'shared', 0);"
        " const p = page.planEnter(all.find((g) => g.name === given.g), all, new Set(given.seen));"
        " return { ...p, decide: p.decide.map((c) => c.id) }; })()"
    )
    return evaluate(code, cells=cells, c=CLASSES, o=OTHERS, g=group, seen=seen)


def key(name: str, **held: bool | str) -> Any:
    return evaluate("page.actionOf(given.event)", event={"key": name, **held})


def test_script_is_valid() -> None:
    done = subprocess.run(
        [require_node(), "--check", str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_group_has_the_least_certain_first_and_moved_ones_last() -> None:
    moved = cell("moved", "neutrophil", 0.2, suggested="monocyte", decided=True)
    cells = [cell("sure", "neutrophil", 0.99), moved, cell("unsure", "neutrophil", 0.5)]
    (found,) = [group for group in groups(cells) if group["name"] == "neutrophil"]
    assert [one["id"] for one in found["cells"]] == ["unsure", "sure", "moved"]
    assert found["open"] == 2


def test_groups_of_attention_come_first_and_classes_are_always_shown() -> None:
    cells = [
        cell("a", "monocyte", familiar=False),
        cell("b", None),
        cell("c", "other", suggested="ig", decided=True),
    ]
    names = [group["name"] for group in groups(cells, rejected=2)]
    assert names == ["unidentified", "unfamiliar", *CLASSES, "other", "rejected"]


def test_unfamiliar_cell_is_in_its_class_too() -> None:
    found = groups([cell("a", "monocyte", familiar=False)])
    homes = [group["name"] for group in found if any(c["id"] == "a" for c in group["cells"])]
    assert homes == ["unfamiliar", "monocyte"]


def test_consensus_shows_cells_that_differ_first() -> None:
    cells = [cell("a", "monocyte", other="lymphocyte"), cell("b", "monocyte", other="monocyte")]
    first = groups(cells, reading="consensus")[0]
    assert first["name"] == "differ"
    assert [one["id"] for one in first["cells"]] == ["a"]


def test_enter_decides_what_was_on_the_screen_and_nothing_else() -> None:
    cells = [cell("a", "monocyte"), cell("b", "monocyte"), cell("c", "monocyte")]
    found = plan(cells, "monocyte", ["a", "c"])
    assert found["decide"] == ["a", "c"]
    assert (found["then"], found["cell"]) == ("unseen", "b")


def test_enter_decides_no_cell_of_another_group() -> None:
    cells = [cell("a", "monocyte"), cell("b", "basophil")]
    found = plan(cells, "monocyte", ["a", "b"])
    assert found == {"decide": ["a"], "then": "group", "group": "basophil"}


def test_enter_decides_no_unidentified_cell() -> None:
    found = plan([cell("a", None), cell("b", "ig")], "unidentified", ["a", "b"])
    assert found == {"decide": [], "then": "label", "cell": "a", "left": 1}


def test_enter_after_the_last_group_goes_to_signing() -> None:
    cells = [cell("a", "monocyte"), cell("b", "basophil", decided=True)]
    assert plan(cells, "monocyte", ["a"]) == {"decide": ["a"], "then": "sign"}


def test_enter_goes_back_to_an_earlier_group_that_is_open() -> None:
    cells = [cell("a", "platelet"), cell("b", "neutrophil")]
    assert plan(cells, "platelet", ["a"])["group"] == "neutrophil"


def test_enter_does_not_walk_an_unfamiliar_cell_twice() -> None:
    found = plan([cell("a", "monocyte", familiar=False)], "unfamiliar", ["a"])
    assert found == {"decide": ["a"], "then": "sign"}


def test_focus_after_a_label_goes_to_the_next_open_cell() -> None:
    cells = [cell("a", "ig"), cell("b", "ig", decided=True), cell("c", "ig"), cell("d", "ig")]
    code = "['a', 'c', 'd'].map((id) => page.nextOpenCell(given.cells, id))"
    assert evaluate(code, cells=cells) == ["c", "d", "a"]
    done = [cell("a", "ig", decided=True), cell("b", "ig", decided=True)]
    assert evaluate("page.nextOpenCell(given.cells, 'a')", cells=done) == "b"


def test_cell_of_attention_keeps_its_place_with_another_label() -> None:
    cells = [
        cell("a", "monocyte", suggested="neutrophil", decided=True, familiar=False),
        cell("b", "lymphocyte", familiar=False),
    ]
    (found,) = [group for group in groups(cells) if group["name"] == "unfamiliar"]
    assert [one["id"] for one in found["cells"]] == ["a", "b"]


def test_decision_on_its_way_is_shown_as_pending() -> None:
    entries = [
        {"action": "decide", "cells": [{"id": "a"}], "label": "ig"},
        {"action": "decide", "cells": [{"id": "a"}, {"id": "b"}], "label": None},
        {"action": "note", "text": "x"},
    ]
    cells = [cell("a", "monocyte"), cell("b", "basophil"), cell("c", None)]
    views = evaluate("page.viewed(given.cells, given.entries)", cells=cells, entries=entries)
    shown = [(one["label"], one["decided"], one["pending"]) for one in views]
    assert shown == [("ig", True, True), ("basophil", True, True), (None, False, False)]


def screens_of(count: int, side: int) -> int:
    width, height = GALLERY
    code = "page.layout(given.n, given.w, given.h, given.s).screens"
    return int(evaluate(code, n=count, w=width, h=height, s=side))


@pytest.mark.parametrize(("count", "screens"), [(120, 2), (50, 1), (5, 1)])
def test_tiles_are_as_large_as_the_fewest_screens_allow(count: int, screens: int) -> None:
    width, height = GALLERY
    side = evaluate("page.fittedSide(given.n, given.w, given.h)", n=count, w=width, h=height)
    assert 76 <= side <= 180
    assert screens_of(count, side) == screens
    assert side == 180 or screens_of(count, side + 4) > screens


def test_keys_are_those_of_the_table() -> None:
    labels = evaluate("page.LABEL_KEYS")
    assert "".join(labels) == "neblmirpao"
    assert list(labels.values()) == [*CLASSES, *OTHERS]


@pytest.mark.parametrize(
    ("pressed", "action"),
    [("Enter", "enter"), ("u", "undo"), ("c", "compare"), ("+", "larger"), ("-", "smaller"),
     ("1", "big"), ("d", "differential"), ("t", "note"), ("s", "sign"), ("g", "list"),
     ("?", "keys"), (" ", "toggle"), ("Escape", "clear"), ("0", "fit")],
)  # fmt: skip
def test_key_has_its_action(pressed: str, action: str) -> None:
    assert key(pressed) == {"name": action}


def test_label_key_with_caps_lock_is_the_same() -> None:
    assert key("N", shiftKey=True) == {"name": "label", "label": "neutrophil"}


@pytest.mark.parametrize(
    ("pressed", "held"), [("p", "ctrlKey"), ("r", "ctrlKey"), ("n", "altKey"), ("l", "metaKey")]
)
def test_key_of_the_browser_stays_the_browsers(pressed: str, held: str) -> None:
    assert key(pressed, **{held: True}) is None


def test_all_is_selected_with_control_a() -> None:
    assert key("a", ctrlKey=True) == {"name": "all"}


def slide(name: str, stage: str, newest: str, *, mine: bool = False) -> dict[str, Any]:
    return {
        "key": name,
        "sample_id": name,
        "slide_id": None,
        "stage": stage,
        "newest": newest,
        "mine": mine,
    }


def test_slides_that_need_a_person_come_first() -> None:
    slides = [
        slide("new", "open", "2026-11-27T10:00:00Z"),
        slide("older", "open", "2026-11-27T09:00:00Z"),
        slide("held", "held", "2026-11-20T09:00:00Z"),
        slide("final", "final", "2026-11-27T11:00:00Z"),
        slide("again", "again", "2026-11-27T11:00:00Z"),
        slide("begun", "begun", "2026-11-27T11:00:00Z"),
        slide("read", "first", "2026-11-27T11:00:00Z", mine=True),
        slide("to read", "first", "2026-11-27T11:00:00Z"),
    ]
    found = evaluate("page.sortedSlides(given.slides)", slides=slides)
    keys = {name: [one["key"] for one in rows] for name, rows in found.items()}
    assert keys == {
        "todo": ["again", "begun", "older", "new", "to read"],
        "else": ["read"], "stuck": ["held"], "done": ["final"],
    }  # fmt: skip


def test_slide_is_found_by_parts_of_its_ids() -> None:
    one = {"sample_id": "S000123", "slide_id": "Slide-2"}
    code = "['123', 'slide-2 s0', '124', ''].map((typed) => page.isFound(given.one, typed))"
    assert evaluate(code, one=one) == [True, True, False, True]


def test_confidence_below_one_is_never_shown_as_all() -> None:
    assert evaluate("[0.9999, 1, 0.934, 0].map(page.percentOf)") == [99, 100, 93, 0]


def test_tile_shows_the_middle_of_an_image_only_where_the_pixel_size_is_known() -> None:
    code = "[page.zoomOf(360, 363, 0.1), page.zoomOf(360, 363, null), page.zoomOf(200, 200, 0.1)]"
    assert evaluate(code) == [pytest.approx(360 * 0.1 / 28), 1, 1]


@pytest.mark.parametrize(
    ("pressed", "code", "label"),
    [("\u03bd", "KeyN", "neutrophil"), ("\u0442", "KeyN", "neutrophil"), ("\u00fc", "KeyN", None)],
    ids=["greek", "cyrillic", "latin"],
)
def test_key_of_another_script_is_that_of_its_place(
    pressed: str, code: str, label: str | None
) -> None:
    expected = {"name": "label", "label": label} if label else None
    assert key(pressed, code=code) == expected


@pytest.mark.parametrize(
    ("labels", "pressed"),
    [
        (["ig"], {"ig": "true"}),
        (["ig", "ig"], {"ig": "true"}),
        (["ig", "other"], {"ig": "mixed", "other": "mixed"}),
        ([None, "ig"], {"ig": "mixed"}),
        ([None], {}),
        ([], {}),
    ],
)
def test_label_of_the_chosen_cells_is_marked(
    labels: list[str | None], pressed: dict[str, str]
) -> None:
    cells = [cell(str(number), label) for number, label in enumerate(labels)]
    found = evaluate("page.labelChoices(given.cells)", cells=cells)
    assert {one["key"]: one["label"] for one in found} == evaluate("page.LABEL_KEYS")
    marked = {one["label"]: one["pressed"] for one in found if one["pressed"] != "false"}
    assert marked == pressed
