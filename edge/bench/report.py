"""A benchmark's result as a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.backends.interleave import Latencies
from edge.bench.service import ServiceResults
from edge.bench.stages import StageResults
from edge.bench.stream import StreamResults
from edge.bundle import Bundle

JSON_SCHEMA = "edge-bench/1"


@dataclass(frozen=True, slots=True)
class Report:
    """A table for people, and the fields of this kind of measurement in the JSON report."""

    text: str
    fields: dict[str, Any]

    def to_dict(self, bundle: Bundle, environment: dict[str, Any]) -> dict[str, Any]:
        """The JSON report, with bundle and machine."""
        return {
            "schema": JSON_SCHEMA,
            "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
            "environment": environment,
            **self.fields,
        }


def stages_report(results: StageResults, settings: dict[str, Any]) -> Report:
    """Stages as rows, percentiles in milliseconds and images per second as columns."""
    lines = [f"{_percentile_heading('stage', 50, 90, 99)}{'images/s':>10}"]
    for name, latencies in results.stages.items():
        mark = "  unstable" if latencies.is_unstable() else ""
        rate = latencies.per_second * results.images_per_call.get(name, 1)
        lines.append(f"{_percentile_row(name, latencies, 50, 90, 99)}{rate:10.0f}{mark}")
    fields = {
        "settings": settings,
        "stages": {name: latencies.to_dict() for name, latencies in results.stages.items()},
        "backend": results.backend,
        "int8_speed_up": {
            "baseline": results.baseline,
            **{stage: results.speed_up(stage) for stage in ("infer", "end to end")},
        },
    }
    return Report("\n".join([*lines, "", _speed_up(results)]), fields)


def service_report(results: ServiceResults) -> Report:
    """Images per second of the plain loop and of the daemon, and their ratio, per round."""
    lines = [f"{'round':8}{'bare loop':>12}{'edge-daemon':>14}{'ratio':>8}"]
    rounds = zip(results.bare_per_second, results.daemon_per_second, strict=True)
    for number, (bare, daemon) in enumerate(rounds, start=1):
        lines.append(f"{number:<8}{bare:12.0f}{daemon:14.0f}{daemon / bare:8.0%}")
    summary = (
        f"edge-daemon once, with durable JSON and CSV sidecars, reaches {results.ratio:.0%} of a "
        f"bare decode-and-infer loop (median of {len(results.bare_per_second)} rounds)"
    )
    fields = {
        "images": results.images,
        "bare_per_second": [round(value, 1) for value in results.bare_per_second],
        "daemon_per_second": [round(value, 1) for value in results.daemon_per_second],
        "ratio": round(results.ratio, 4),
    }
    return Report("\n".join([*lines, "", summary]), fields)


def stream_report(results: StreamResults) -> Report:
    """The time from closing the image file to the sidecar, and the model's part of it."""
    shown = (50, 90, 99, 100)
    lines = [
        _percentile_heading("", *shown),
        _percentile_row("close to sidecar", results.latencies, *shown),
        _percentile_row("model alone", results.model, *shown),
    ]
    summary = (
        f"at {results.per_second:g} images/s the service adds {results.overhead_ms:.2f} ms to the "
        f"model's median ({len(results.latencies.values_ms)} images)"
    )
    fields = {
        "per_second": results.per_second,
        "close_to_sidecar": results.latencies.to_dict(),
        "model": results.model.to_dict(),
        "overhead_ms": round(results.overhead_ms, 3),
    }
    return Report("\n".join([*lines, "", summary]), fields)


def _percentile_heading(rows: str, *percentiles: int) -> str:
    names = ("max" if p == 100 else f"p{p}" for p in percentiles)
    return f"{rows:17}{''.join(f'{name} ms'.rjust(9) for name in names)}"


def _percentile_row(name: str, latencies: Latencies, *percentiles: int) -> str:
    cells = "".join(f"{latencies.percentile(p):9.2f}" for p in percentiles)
    return f"{name:17}{cells}"


def _speed_up(results: StageResults) -> str:
    """How much faster INT8 is than FP32 (on a GPU: than FP16), in one line."""
    infer, whole = results.speed_up("infer"), results.speed_up("end to end")
    if infer is None or whole is None:
        return f"only {', '.join(results.precisions)} was measured"
    return (
        f"INT8 is {infer:.2f} times as fast as {results.baseline.upper()} in inference, "
        f"{whole:.2f} times end to end ({results.backend})"
    )
