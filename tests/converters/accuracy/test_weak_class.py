"""A class that the model itself does not know is named, since no gate compares it with anything."""

from __future__ import annotations

from tests.converters.accuracy.conftest import Conversion


def test_class_that_fp32_gets_wrong_is_warned_of_in_both_reports(
    conversion_with_errors: Conversion,
) -> None:
    warned = "fewer than half of the images of blue (6 of 16): do not rely on"
    assert warned in conversion_with_errors.printed
    report = conversion_with_errors.bundle / "evidence" / "report.html"
    assert warned in report.read_text("utf-8")
