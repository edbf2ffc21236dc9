"""What is to be measured, and which combinations have a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bench.measure.amount import LEAST_BURSTS, LEAST_PASSES, LEAST_ROUNDS, Amount
from edge.bench.statistics.names import Level, Mode
from edge.errors import ConfigError
from edge.system.workers import default_workers
from edge.text.counted import counted

LEVELS: Final[tuple[Level, ...]] = ("engine", "call", "image", "file")
# By their names on the command line.
MODES: Final[dict[str, Mode]] = {
    "single-stream": "single_stream",
    "offline": "offline",
    "open-loop-constant": "open_loop_constant",
    "open-loop-poisson": "open_loop_poisson",
    "burst": "burst",
}
DEFAULT_LEVELS: Final[tuple[Level, ...]] = ("engine", "call", "image")
DEFAULT_SECONDS: Final = 45.0
BURST: Final = 200
# Each keeps some hundred bytes until the end.
_MOST_REQUESTS: Final = 2_000_000
_OPEN: Final = ("open_loop_constant", "open_loop_poisson")
_TELLS: Final = {"burst": "a burst", **dict.fromkeys(_OPEN, "an open loop")}


@dataclass(frozen=True, slots=True)
class Plan:
    """One measurement.

    Attributes:
        rate: arrivals per second in an open loop.
        batches: images in one request, one series each.
        threads: threads inside one inference, one series each.
        workers: requests that are served at the same time, where the mode has several.
        burst: images in one burst.
        precisions: those to measure; empty for all in a single stream, else the fastest one.
        against: other back ends, measured beside ours.
        images: a folder; None for drawn cells.
        output: a folder on the disk whose speed is measured.
    """

    levels: tuple[Level, ...]
    mode: Mode
    amount: Amount
    rate: float | None = None
    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = (1,)
    workers: int | None = None
    burst: int | None = None
    precisions: tuple[str, ...] = ()
    backend: str = "auto"
    against: tuple[str, ...] = ()
    images: Path | None = None
    output: Path = Path()

    @property
    def is_open(self) -> bool:
        """Whether requests arrive at a rate."""
        return self.mode in _OPEN

    @property
    def served_at_once(self) -> int:
        """The workers."""
        return 1 if self.mode == "single_stream" else self.workers or default_workers()

    @property
    def text(self) -> str:
        """In one line, for people."""
        amount = f"{self.amount.seconds or 0:g} s after warm-up{self._fewest}"
        if self.amount.samples is not None:
            amount = counted(self.amount.samples, "sample")
        rate = f" at {self.rate:g} images/s" if self.rate else ""
        size = f" of {self.burst or BURST} images" if self.mode == "burst" else ""
        levels = " and ".join(filter(None, [", ".join(self.levels[:-1]), self.levels[-1]]))
        return f"{levels} level, {self.mode.replace('_', ' ')}{rate}{size}, {amount}"

    @property
    def _fewest(self) -> str:
        """What is measured however long it takes."""
        fewest = []
        if self.mode == "burst":
            fewest.append(f"{LEAST_BURSTS} bursts")
        if self.mode == "offline" and set(self.levels) != {"file"}:
            fewest.append(f"{LEAST_PASSES} passes")
        if self.mode == "offline" and "file" in self.levels:
            fewest.append(f"{LEAST_ROUNDS} rounds of the daemon")
        return f", at least {' and '.join(fewest)} of each series" if fewest else ""

    @property
    def counted_in(self) -> str:
        """What the progress of the measurement counts."""
        if self.mode in _TELLS:
            return "images"
        if self.mode == "offline":
            return "rounds" if self.amount.samples or "file" in self.levels else "seconds"
        return "samples" if self.amount.samples else "seconds"

    def check(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ConfigError: what has none, and what to use.
        """
        for problem in (self._of_mode(), self._of_level(), self._of_batches(), self._of_against()):
            if problem:
                raise ConfigError(problem)

    def _of_mode(self) -> str | None:
        if self.is_open and self.rate is None:
            return "an open loop needs its rate: add --rate R, in images per second."
        if self.rate is not None and not self.is_open:
            return (
                "--rate is for open loops: add --mode open-loop-constant or --mode "
                "open-loop-poisson."
            )
        if self.is_open and (self.rate or 0) * (self.amount.seconds or 0) > _MOST_REQUESTS:
            return (
                f"{self.rate:g} images/s for {self.amount.seconds:g} s are more than "
                f"{_MOST_REQUESTS:,} requests: give fewer --seconds."
            )
        if self.burst is not None and self.mode != "burst":
            return "--burst is the size of a burst: add --mode burst."
        if self.workers is not None and self.mode == "single_stream":
            return "a single stream has one request at a time: leave --workers out."
        return None

    def _of_level(self) -> str | None:
        if "engine" in self.levels and self.mode in _TELLS:
            return (
                f"the engine alone has no queue for {_TELLS[self.mode]}: use --level call, image "
                "or file."
            )
        if "file" in self.levels and len(self.threads) > 1:
            return "the daemon has one number of threads: give one value of --threads."
        return None

    def _of_batches(self) -> str | None:
        if self.batches == (1,):
            return None
        if self.mode in _TELLS:
            return f"in {_TELLS[self.mode]} images arrive one by one: leave --batches out."
        if "file" in self.levels:
            return (
                "the daemon makes batches by itself: leave --batches out, or use --level engine, "
                "call or image."
            )
        return None

    def _of_against(self) -> str | None:
        if not self.against:
            return None
        is_once = self.levels == ("file",) and self.mode == "offline"
        if self.mode != "single_stream" and not is_once:
            return (
                "--against compares in a single stream, or with --level file --mode offline; "
                "leave --mode out."
            )
        if "file" in self.levels and not is_once:
            return "only the daemon has a file level: leave it out, or add --mode offline."
        if set(self.levels) <= {"engine"}:
            return "the engine level is of our own back ends: use --level call or image."
        return None
