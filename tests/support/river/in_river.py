"""Runs in river's environment: streams as JSON from stdin, river's answers as JSON to stdout."""

from __future__ import annotations

import json
import sys

from river.drift import PageHinkley


def main() -> None:
    asked = json.load(sys.stdin)
    answers = []
    for stream in asked["streams"]:
        # alpha 1 forgets nothing, as a CUSUM; it may alarm from the first value on.
        test = PageHinkley(
            min_instances=1,
            delta=asked["allowance"],
            threshold=asked["limit"],
            alpha=1.0,
            mode="up",
        )
        alarm = None
        for number, value in enumerate(stream):
            test.update(value)
            if test.drift_detected:
                alarm = number
                break
        level = test._sum_increase - test._min_increase  # noqa: SLF001 - it has no other name
        answers.append({"alarm": alarm, "level": level})
    json.dump(answers, sys.stdout)


main()
