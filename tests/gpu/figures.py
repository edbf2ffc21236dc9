"""The targets, and the figures as Markdown for docs/gpu/measured.md."""

from __future__ import annotations

from typing import Any, Final

Figures = dict[str, Any]

FILE_P99_MS: Final = 5.0
IMAGES_PER_SECOND: Final = 3000.0
RATIO: Final = 0.85
RATIO_FROM_BATCH: Final = 8
NOT_MEASURED: Final = "not measured"
STAND_INS: Final = (
    "**Not figures of a GPU.** Driver or library of this run were stand-ins of a test; "
    "nothing below may be quoted."
)


def verdicts(figures: Figures) -> dict[str, str]:
    """What became of each target: `met`, `missed` or `not measured`, with the figure.

    Args:
        figures: of the steps that ran, by the step's name.
    """
    if not figures.get("device", {}).get("is_real", False):
        return dict.fromkeys(_TARGETS, NOT_MEASURED)
    return {name: judge(figures) for name, judge in _TARGETS.items()}


def _file_level(figures: Figures) -> str:
    found = figures.get("levels", {}).get("latencies", {}).get("file int8")
    if found is None:
        return NOT_MEASURED
    return _verdict(found["p99_ms"] <= FILE_P99_MS, f"{found['p99_ms']} ms")


def _throughput(figures: Figures) -> str:
    runs = [r for r in figures.get("throughput", {}).get("runs", []) if r["problem"] is None]
    if not runs:
        return NOT_MEASURED
    best = max(runs, key=lambda run: float(run["images_per_second"]))
    rate, settings = best["images_per_second"], best["settings"] or "default settings"
    return _verdict(rate >= IMAGES_PER_SECOND, f"{rate} images/s with {settings}")


def _ratio(figures: Figures) -> str:
    ratios = {
        int(size): by["ratio"]
        for size, by in figures.get("batch sweep", {}).items()
        if int(size) >= RATIO_FROM_BATCH and "ratio" in by
    }
    if not ratios:
        return NOT_MEASURED
    worst = max(ratios, key=lambda size: float(ratios[size]))
    return _verdict(ratios[worst] <= RATIO, f"at most {ratios[worst]}, at batch {worst}")


_TARGETS: Final = {
    f"file level, INT8, p99 at most {FILE_P99_MS:g} ms": _file_level,
    f"at least {IMAGES_PER_SECOND:g} images/s from files to sidecars": _throughput,
    f"engine level, INT8 at most {RATIO} of FP16 from batch {RATIO_FROM_BATCH}": _ratio,
}


def _verdict(is_met: bool, figure: str) -> str:  # noqa: FBT001 - one of two words
    return f"{'met' if is_met else 'missed'}: {figure}"


def markdown(steps: list[dict[str, Any]]) -> str:
    """A block for docs/gpu/measured.md.

    Args:
        steps: of the report: name, state, reason, seconds, figures.
    """
    figures = {step["name"]: step["figures"] for step in steps}
    blocks = [
        _heading(figures.get("device", {})),
        table(("target", "result"), list(verdicts(figures).items())),
        table(("step", "result", "seconds"), [_step_row(step) for step in steps]),
        *_details(figures),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table; empty where it has no rows."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) if rows else ""


def _heading(device: Figures) -> str:
    if not device:
        return "The device could not be described; see the steps."
    machine = device["environment"]
    smi = device["nvidia_smi"]
    clocks = smi if isinstance(smi, str) else ", ".join(f"{k} {v}" for k, v in smi.items())
    text = (
        f"{device['date']}, {device['gpu']} (compute capability {device['compute_capability']}, "
        f"driver {device['driver']}, {clocks}), {device['library']}, pycuda {device['pycuda']}, "
        f"ONNX Runtime {machine['packages']['onnxruntime']}, Python {machine['python']}; "
        f"{machine['cpu']}, {machine['cores']} cores, sidecars on {device['disk']}; bundle "
        f"{device['bundle']} ({device['bundle_sha256'][:12]}). `make gpu-check`."
    )
    return text if device["is_real"] else f"{STAND_INS}\n\n{text}"


def _step_row(step: dict[str, Any]) -> tuple[str, str, float]:
    reason = f": {step['reason']}" if step["reason"] else ""
    return step["name"], f"{step['state']}{reason}".replace("|", "/"), step["seconds"]


def _details(figures: Figures) -> list[str]:
    return [
        _engines({p: figures.get(f"engine {p}", {}) for p in ("int8", "fp16")}),
        _accuracy(figures.get("accuracy", {})),
        _latencies("level, one image", figures.get("levels", {}).get("latencies", {})),
        _sweep(figures.get("batch sweep", {})),
        *(
            _latencies(f"in turn with torch, batch {size}", by)
            for size, by in figures.get("torch", {}).get("batches", {}).items()
        ),
        _memory(figures.get("memory", {})),
    ]


def _engines(figures: Figures) -> str:
    names = ("seconds", "plan_bytes", "quantize_layers", "layer_precisions", "has_graphs")
    rows = [(p, *(facts.get(name) for name in names)) for p, facts in figures.items() if facts]
    return table(("engine", *names), rows)


def _accuracy(figures: Figures) -> str:
    def text(share: Figures) -> str:
        return f"{share['count']} of {share['total']}"

    names = ("right", "native", "same_as_fp32")
    places = {"fp32": "ONNX Runtime, CPU"}
    rows = [
        (
            f"{precision} ({places.get(precision, 'GPU')})",
            # The last one is not there yet where the step was cut off.
            *(text(facts[name]) if name in facts else "" for name in names),
        )
        for precision, facts in figures.items()
    ]
    return table(("test split", "right", "right of native images", "same label as FP32"), rows)


def _latencies(title: str, figures: Figures) -> str:
    names = ("count", "p50_ms", "p90_ms", "p99_ms", "unstable")
    rows = [(name, *(facts[column] for column in names)) for name, facts in figures.items()]
    return table((title, *names), rows)


def _sweep(figures: Figures) -> str:
    rows = [
        (size, *(by[p]["p50_ms"] if p in by else "" for p in ("int8", "fp16")), by.get("ratio", ""))
        for size, by in figures.items()
    ]
    return table(("engine level, batch", "INT8 p50 ms", "FP16 p50 ms", "INT8 / FP16"), rows)


def _memory(figures: Figures) -> str:
    names = ("calls", "first_bytes", "last_bytes", "largest_bytes")
    rows = [(precision, *(facts[n] for n in names)) for precision, facts in figures.items()]
    return table(("GPU memory", *names), rows)
