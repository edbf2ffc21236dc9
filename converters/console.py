"""The text that `edge-convert` prints at the end of a conversion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from converters.accuracy.comparison import CANDIDATE
from converters.accuracy.confidence import Confidence
from converters.accuracy.validation_size import THIN_CLASS_IMAGES
from converters.convert import Report
from converters.familiarity.laboratory import Laboratory
from converters.int8.graphs import FP16, FP32, GRAPHS, INT8
from converters.loading.sandbox.limits import NO_GUARDS
from converters.search.search import SearchResult
from converters.targets.fp16_model import Fp16Model
from converters.targets.quantized import Quantized
from edge.backends.interleave import Latencies

# Columns of the table of verdicts.
_VERDICT: Final = "{:10}{:>14}{:>11}{:>12}{:>9}{:>10}{:>10}{:>11}  {}"
_VERDICT_HEAD: Final = (
    *("", "accuracy gate", "lost", "same label", "in INT8", "put back", "plain", "corrected"),
    "ranges by",
)


def describe(report: Report) -> str:
    """The report as text: sizes, accuracy, speed, image sets, verdicts, warnings."""
    lines = [f"FP32 ONLY: {fallback_text(report)}"] if report.fp32_reason else []
    lines += [f"wrote {report.target} from {report.source.path.name} ({report.source.kind})"]
    lines += [*_thin_classes(report), _sandbox(report)]
    lines += [f"note: {change}" for change in report.source.facts.get("changes", [])]
    lines += ["", *_table(report)]
    lines += ["", _validated(report), *_class_lines(report), *_confidence_lines(report)]
    lines += _laboratory_lines(report.laboratory)
    if report.quantized:
        lines += _quantized_lines(report, report.quantized)
    if any(latency.is_unstable() for latency in report.latencies.values()):
        lines.append("note: the machine was busy; run edge-bench for steadier times")
    lines += [f"note: skipped in {text}" for text in report.left_out]
    lines += [f"warning: {text}" for text in report.warnings]
    return "\n".join(lines)


def _sandbox(report: Report) -> str:
    """How the file was confined while it was opened."""
    guards = report.source.sandbox
    if guards.startswith(NO_GUARDS):
        return f"warning: opened in no sandbox{guards.removeprefix(NO_GUARDS)}"
    return f"opened in a sandbox: {guards}"


def fallback_text(report: Report) -> str:
    """Why the bundle has no INT8 graph for CPUs although INT8 was asked for."""
    return (
        f"{report.target.name} holds no INT8 graph for CPUs, although --int8 asked for one: "
        f"{report.fp32_reason}"
    )


def _thin_classes(report: Report) -> list[str]:
    """A warning about classes with few images."""
    thin = {k: n for k, n in report.judging.validation.thin_classes().items() if n}
    few = ", ".join(f"{name} ({total})" for name, total in thin.items())
    needed = f"fewer than {THIN_CLASS_IMAGES} validation images"
    return [f"warning: {needed} of {few}: the verdict on them may be chance"] if thin else []


def _class_lines(report: Report) -> list[str]:
    """Recall of each class in the INT8 graph for CPUs with VNNI, which most workstations run."""
    result = report.quantized.results.get(INT8.target) if report.quantized else None
    if result is None or not result.evidence.validation.is_labelled:
        return []
    found = result.evidence
    refused = "" if result.holds else " (refused, not in the bundle)"
    lines = [f"recall of each class, {INT8.target}{refused}:"]
    for index, name in enumerate(found.validation.classes):
        share = found.accuracy(CANDIDATE, index)
        if share is None or not share.total:
            lines.append(f"  {name:14}not known, no images")
            continue
        lost, gained = found.lost_and_gained(index)
        changed = f"; {lost} lost, {gained} gained" if lost or gained else ""
        lines.append(f"  {name:14}{share}{changed}")
    return lines


def _confidence_lines(report: Report) -> list[str]:
    """How right the confidence of each graph is, and of how many cells it is sure enough."""
    found = {_graph_name(path): one.found for path, one in report.confidences.items()}
    lines = [_confidence_line(name, one) for name, one in found.items()]
    # Most graphs have the same reason, which is told once.
    reasons: dict[str, list[str]] = {}
    for name, one in found.items():
        if one.temperature.reason is not None:
            reasons.setdefault(one.temperature.reason, []).append(name)
    for reason, names in reasons.items():
        who = "any graph" if len(names) == len(found) else ", ".join(names)
        lines.append(f"  no temperature for {who}: {reason}")
    return ["confidence, with the 95 % interval of its error:", *lines] if lines else []


def _graph_name(path: str) -> str:
    return path.removeprefix("model.").removesuffix(".onnx")


def _confidence_line(name: str, found: Confidence) -> str:
    temperature = found.temperature
    before, after = (
        f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})" for one in (found.before, found.after)
    )
    error = (
        f"off by {before}, with temperature {temperature.value:g} by {after}"
        if temperature.is_fitted
        else f"off by {before}"
    )
    kept = found.at_limit
    identified = f"{kept.coverage.rate:.1%} identified, {kept.right.rate:.1%} of them right"
    return f"  {name:14}{error}; {identified}"


def _laboratory_lines(laboratory: Laboratory) -> list[str]:
    """What was learned of the laboratory, and which simulated faults are noticed."""
    if laboratory.reference is None:
        return []
    images, flagged = laboratory.images, laboratory.flagged
    seen = "features and pictures" if laboratory.reference.features else "pictures alone"
    noticed = ", ".join(
        f"{reason.replace('_', ' ')} {noticed.rate:.0%}"
        for reason, noticed in laboratory.noticed_by_reason().items()
    )
    learned = (
        f"laboratory learned from {len(images.files)} images of {images.origin}, by {seen}; "
        f"{flagged.rate:.1%} of them would not pass"
    )
    return [learned, f"simulated faults that are noticed: {noticed}"]


def _table(report: Report) -> list[str]:
    lines = [f"{'':10}{'size':>9}  {'ms/image':>8}  {'images/s':>8}  accuracy"]
    for name, size in report.sizes_bytes.items():
        latency = report.latencies.get(name)
        speed = (
            f"{latency.median:8.2f}  {latency.per_second:8.0f}" if latency else f"{'':8}  {'':8}"
        )
        lines.append(f"{name:10}{size / 1e6:6.1f} MB  {speed}  {_accuracy(report, name)}".rstrip())
    return lines


def _accuracy(report: Report, name: str) -> str:
    kind = GRAPHS[name]
    results = report.quantized.results if report.quantized else {}
    if kind.target in results:
        found = results[kind.target].evidence.accuracy(CANDIDATE)
    elif kind is FP16 and isinstance(report.fp16, Fp16Model):
        found = report.fp16.evidence.accuracy(CANDIDATE)
    else:
        found = report.judging.fp32_accuracy()
    return "no labels to compare with" if found is None else str(found)


def _validated(report: Report) -> str:
    validation = report.judging.validation
    return f"validated on {len(validation.paths)} images of {validation.origin}"


def _quantized_lines(report: Report, quantized: Quantized) -> list[str]:
    count = quantized.calibration.image_count if quantized.calibration else "no"
    lines = [f"calibrated on {count} images of {quantized.origin}"]
    lines += speed_lines(report.latencies)
    lines += _verdicts(quantized.results.values())
    if quantized.origin == "drawn cells":
        lines.append("note: drawn cells show that the conversion works; for use at a microscope")
        lines.append("      calibrate and validate on images of your own analyzer")
    return lines


def speed_lines(latencies: Mapping[str, Latencies]) -> list[str]:
    """INT8's speed relative to FP32 on this machine, and a note if it is not faster."""
    quantized = [latency for name, latency in latencies.items() if name != FP32.name]
    if not quantized:
        return []
    speed_up = latencies[FP32.name].median / quantized[0].median
    lines = [
        f"INT8 is {speed_up:.2f} times as fast as FP32 here (one thread, batch 1, interleaved)"
    ]
    if speed_up < 1:
        lines.append(
            "INT8 brings nothing here: FP32 is faster and is the bundle's default precision;"
        )
        lines.append("a machine that opens the bundle times both again")
    return lines


def _verdicts(results: Collection[SearchResult]) -> list[str]:
    """The accuracy gate's verdict on each INT8 graph, one line each."""
    lines = [_VERDICT.format(*_VERDICT_HEAD).rstrip(), *map(_verdict, results)]
    legend = [
        "  lost: points of accuracy; in INT8: share of the arithmetic; put back: layers, in float",
        "  plain, corrected: divergence in nats on calibration images, the layers corrected or not",
    ]
    return ["", *lines, *legend, ""] if results else []


def _verdict(result: SearchResult) -> str:
    drop, correction = result.evidence.drop_points(), result.correction
    return _VERDICT.format(
        result.placement.name,
        "passed" if result.holds else "refused",
        "not known" if drop is None else f"{drop:.2f}",
        f"{result.evidence.agreement.rate:.1%}",
        f"{result.int8_share:.0%}",
        len(result.kept_float),
        f"{correction.before:.6f}",
        f"{correction.after:.6f}" if correction.is_kept else "left out",
        result.method,
    )
