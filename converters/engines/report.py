"""The text that `edge-convert` prints about engines."""

from __future__ import annotations

from converters.engines.build import TIMED_BATCHES, Engine


def describe_engines(engines: list[Engine]) -> str:
    """A table of engines with size, speed and where they run; then accuracy and notes."""
    batches = "".join(f"{f'batch {n} ms':>13}" for n in TIMED_BATCHES)
    lines = [f"{'engine':22}{'size':>9}{'build':>8}{batches}  runs on"]
    lines += [_row(engine) for engine in engines]
    lines += [f"warning: {_name(e)} was left out: {e.problem}" for e in engines if e.problem]
    timed = [engine for engine in engines if engine.latencies]
    if timed:
        lines.append(_fastest(timed))
    lines += [f"{_name(e)}: accuracy {e.accuracy}" for e in engines if e.accuracy]
    if any(not engine.was_judged and engine.latencies for engine in engines):
        lines.append("note: judged on the golden images alone; give --validation for the gate")
    lines += [f"note: {note}" for note in dict.fromkeys(_notes(engines))]
    return "\n".join(lines)


def _row(engine: Engine) -> str:
    record = engine.plan.record
    cells = "".join(
        f"{engine.latencies[n].median:13.3f}" if n in engine.latencies else f"{'not run':>13}"
        for n in TIMED_BATCHES
    )
    where = record.gpu or "compute capability " + " ".join(record.compute_capabilities)
    size = f"{record.plan_bytes / 1e6:.1f} MB"
    return f"{_name(engine):22}{size:>9}{f'{record.seconds:.1f} s':>8}{cells}  {where}"


def _fastest(engines: list[Engine]) -> str:
    best = min(engines, key=lambda engine: engine.latencies[1].median)
    return f"{_name(best)} is the fastest for one image; the service measures again when it starts"


def _notes(engines: list[Engine]) -> list[str]:
    return [note for engine in engines for note in engine.plan.record.notes]


def _name(engine: Engine) -> str:
    return f"{engine.plan.record.library} {engine.plan.record.precision}"
