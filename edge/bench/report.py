"""A benchmark's result as a table and as JSON."""

from __future__ import annotations

from typing import Any

from edge.bench.service import ServiceResults
from edge.bench.stages import StageResults
from edge.bench.stream import StreamResults
from edge.bundle import Bundle

JSON_SCHEMA = "edge-bench/1"


def table(results: StageResults) -> str:
    """Stages as rows, percentiles in milliseconds and images per second as columns."""
    lines = [f"{'stage':17}{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'images/s':>10}"]
    for name, latencies in results.stages.items():
        percentiles = "".join(f"{latencies.percentile(p):9.2f}" for p in (50, 90, 99))
        mark = "  unstable" if latencies.is_unstable() else ""
        rate = latencies.per_second * results.images_per_call.get(name, 1)
        lines.append(f"{name:17}{percentiles}{rate:10.0f}{mark}")
    return "\n".join(lines)


def summary(results: StageResults) -> str:
    """INT8 against FP32, or FP16 on a GPU, in one line, where both were measured."""
    infer, whole = results.speed_up("infer"), results.speed_up("end to end")
    if infer is None or whole is None:
        return f"only {', '.join(results.precisions)} was measured"
    return (
        f"INT8 is {infer:.2f} times as fast as {results.baseline.upper()} in inference, "
        f"{whole:.2f} times end to end ({results.backend})"
    )


def service_table(results: ServiceResults) -> str:
    """Images per second of the bare loop and of the daemon, and their ratio, round by round."""
    lines = [f"{'round':8}{'bare loop':>12}{'edge-daemon':>14}{'ratio':>8}"]
    rounds = zip(results.bare_per_second, results.daemon_per_second, strict=True)
    for number, (bare, daemon) in enumerate(rounds, start=1):
        lines.append(f"{number:<8}{bare:12.0f}{daemon:14.0f}{daemon / bare:8.0%}")
    lines.append("")
    lines.append(
        f"edge-daemon once, with durable JSON and CSV sidecars, reaches {results.ratio:.0%} of a "
        f"bare decode-and-infer loop (median of {len(results.bare_per_second)} rounds)"
    )
    return "\n".join(lines)


def service_dict(
    bundle: Bundle, results: ServiceResults, environment: dict[str, str | int]
) -> dict[str, Any]:
    """The JSON report of the service measurement."""
    return {
        "schema": JSON_SCHEMA,
        "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "environment": environment,
        "images": results.images,
        "bare_per_second": [round(value, 1) for value in results.bare_per_second],
        "daemon_per_second": [round(value, 1) for value in results.daemon_per_second],
        "ratio": round(results.ratio, 4),
    }


def stream_table(results: StreamResults) -> str:
    """From close to sidecar, and what of it is the model's."""
    rows = {"close to sidecar": results.latencies, "model alone": results.model}
    lines = [f"{'':17}{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'max ms':>9}"]
    for name, found in rows.items():
        cells = "".join(f"{found.percentile(p):9.2f}" for p in (50, 90, 99, 100))
        lines.append(f"{name:17}{cells}")
    lines.append("")
    lines.append(
        f"at {results.per_second:g} images/s the service adds {results.overhead_ms:.2f} ms to the "
        f"model's median ({len(results.latencies.values_ms)} images)"
    )
    return "\n".join(lines)


def stream_dict(
    bundle: Bundle, results: StreamResults, environment: dict[str, str | int]
) -> dict[str, Any]:
    """The JSON report of the stream measurement."""
    return {
        "schema": JSON_SCHEMA,
        "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "environment": environment,
        "per_second": results.per_second,
        "close_to_sidecar": results.latencies.to_dict(),
        "model": results.model.to_dict(),
        "overhead_ms": round(results.overhead_ms, 3),
    }


def to_dict(
    bundle: Bundle,
    results: StageResults,
    environment: dict[str, str | int],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """The JSON report."""
    return {
        "schema": JSON_SCHEMA,
        "bundle": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "environment": environment,
        "settings": settings,
        "stages": {name: latencies.to_dict() for name, latencies in results.stages.items()},
        "backend": results.backend,
        "int8_speed_up": {
            "baseline": results.baseline,
            **{stage: results.speed_up(stage) for stage in ("infer", "end to end")},
        },
    }
