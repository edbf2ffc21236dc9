"""What a person reads at the end of a conversion."""

from __future__ import annotations

from converters.convert import Report


def describe(report: Report) -> str:
    """The report as text: sizes, accuracy, speed, what was calibrated on."""
    lines = [f"wrote {report.target} from {report.source.path.name} ({report.source.kind})", ""]
    lines.append(f"{'':6}{'size':>9}  {'ms/image':>8}  {'images/s':>8}  accuracy")
    for precision, size in report.sizes_bytes.items():
        latency = report.latencies[precision]
        accuracy = report.evidence.accuracy(precision)
        lines.append(
            f"{precision:6}{size / 1e6:6.1f} MB  {latency.median:8.2f}  {latency.per_second:8.0f}  "
            f"{accuracy if accuracy is not None else 'no labels to compare with'}"
        )
    lines.append("")
    lines.append(f"validated on {len(report.evidence.images)} images of {report.evidence.origin}")
    if report.calibration:
        lines += _int8_lines(report)
    if any(latency.is_unstable() for latency in report.latencies.values()):
        lines.append("note: the machine was busy; run edge-bench for steadier times")
    return "\n".join(lines)


def _int8_lines(report: Report) -> list[str]:
    speed_up = report.latencies["fp32"].median / report.latencies["int8"].median
    drop = report.evidence.drop_points
    layers = f"{report.quantized_layers} layers in INT8, {len(report.float_layers)} in float"
    lines = [
        f"INT8 is {speed_up:.2f} times as fast as FP32 here (one thread, batch 1, interleaved)",
        f"agreement {report.evidence.agreement}",
        "accuracy gate passed" + ("" if drop is None else f": INT8 loses {drop:.2f} points"),
        f"calibrated on {report.calibration}; {layers}",
    ]
    if speed_up < 1:
        lines.append("note: FP32 is faster here and is the bundle's default precision")
    if "drawn" in (report.calibration or ""):
        lines.append("note: drawn cells show that the conversion works; for use at a microscope")
        lines.append("      calibrate and validate on images of your own analyzer")
    return lines
