from __future__ import annotations

from pathlib import Path

import pytest

from edge.bench.options import build_parser, plan_of


def test_line_without_a_command_measures_and_its_values_reach_the_plan() -> None:
    words = (
        "x.edge --level image,call --mode burst --burst 50 --samples 9 --threads 2,1 --workers 3"
    )
    arguments = build_parser().parse_args(words.split())
    assert arguments.command == "measure"
    plan = plan_of(arguments)
    # In the order of the levels, whatever the order on the command line.
    assert plan.levels == ("call", "image")
    assert (plan.mode, plan.burst, plan.amount.samples, plan.amount.seconds) == (
        "burst",
        50,
        9,
        None,
    )
    assert (plan.threads, plan.workers, plan.output) == ((1, 2), 3, Path())


def test_contender_that_is_named_twice_runs_once() -> None:
    assert build_parser().parse_args(["x.edge", "--against", "a,b,a"]).against == ("a", "b")


def test_line_with_compare_compares() -> None:
    arguments = build_parser().parse_args(["compare", "a.json", "b.json", "--allow", "3"])
    assert arguments.command == "compare"
    assert (arguments.before, arguments.after) == (Path("a.json"), Path("b.json"))
    assert (arguments.allow, arguments.across_machines) == (3.0, False)


def test_bundle_that_is_called_compare_is_measured_by_its_path() -> None:
    assert build_parser().parse_args(["./compare"]).bundle == Path("compare")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("x.edge --daemon", "--daemon is replaced by --level file --mode offline"),
        ("x.edge --stream 20", "--stream is replaced by --level file --mode open-loop-constant"),
        ("x.edge --rounds 5", "--rounds is replaced by --seconds S or --samples N"),
        ("x.edge --levle image", "did you mean --level?"),
        ("x.edge --level pixel", "'pixel'; choose from engine, call, image, file"),
        ("x.edge --batches 8,0", "give whole numbers from 1 to 4096"),
        ("x.edge --rate -1", "is no number from 0.001 to"),
        ("x.edge --rate nan", "is no number from 0.001 to"),
        ("x.edge --seconds 3 --samples 3", "not allowed with argument --seconds"),
        ("x.edge --samples 0", "is no whole number from 1 to"),
        ("x.edge --against ,", "give names such as torch,openvino"),
        ("compare a.json", "the following arguments are required: AFTER.json"),
        ("compare a.json b.json --level image", "unrecognized arguments: --level"),
    ],
)
def test_wrong_line_is_refused_with_what_to_use(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        build_parser().parse_args(words.split())
    assert said in capsys.readouterr().err.splitlines()[-1]
