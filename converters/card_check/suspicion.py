"""Decides whether other values of the card's entries are a mistake or a warning, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from converters.card_check.fit import Fit, is_clearly_better
from edge.errors import ConfigError

# A network trained on random crops labels larger cells better than those of its own card, and is a
# little better at other sizes (figures in docs/diagnosis.md). Smaller gains prove no mistake.
MIN_CROP_GAIN: Final = 0.10
MIN_SIZE_GAIN: Final = 0.06
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Another value of one of the card's entries that fits the images.

    Attributes:
        fits: the other value, in words.
        card: the card's value, in words.
        keys: the entries of the card.
        advice: what to correct.
        fit: how well the images fit under the other value.
        least_gain: a smaller gain in accuracy does not contradict a card under which the images
            are recognised.
        is_scale: the entry changes how large a cell appears to the network, as size and crop do;
            images can hardly distinguish such entries.
        is_combined: two entries are changed.
    """

    fits: str
    card: str
    keys: str
    advice: str
    fit: Fit
    least_gain: float = 0.0
    is_scale: bool = False
    is_combined: bool = False


def judge(suspicions: Sequence[Suspicion], found: Fit) -> str | None:
    """Refuse the card if another value fits the images clearly better.

    Returns:
        A warning if cells of another scale are recognised better, which may come from the
        training and not from a wrong card; None if there is nothing to report.

    Raises:
        ConfigError: it names the entry, or all entries that fit equally well.
    """
    clear = _without_needless_pairs([s for s in suspicions if is_clearly_better(s.fit, found)])
    if not clear:
        return None
    against = [s for s in clear if _contradicts(s, found)]
    rivals = _rivals(max(against or clear, key=_order), clear)
    if against:
        raise ConfigError(f"{_fit_text(rivals, found)} {_advice(rivals)}")
    keys = " and ".join(dict.fromkeys(s.keys for s in rivals))
    return (
        f"{_fit_text(rivals, found)} A network that was trained on random cuts shows that behind a "
        f"right card, too: look up {keys} in the training script"
    )


def _contradicts(suspicion: Suspicion, found: Fit) -> bool:
    gain = suspicion.fit.accuracy - found.accuracy
    return gain >= suspicion.least_gain or not found.is_recognised


def _without_needless_pairs(clear: list[Suspicion]) -> list[Suspicion]:
    """Drop combined suspicions, unless they fit clearly better than every single one."""
    single = max((s for s in clear if not s.is_combined), key=_order, default=None)
    if single is None:
        return clear
    return [s for s in clear if not s.is_combined or is_clearly_better(s.fit, single.fit)]


def _order(suspicion: Suspicion) -> tuple[float, float]:
    return suspicion.fit.accuracy, float(suspicion.fit.share.mean())


def _rivals(best: Suspicion, clear: Sequence[Suspicion]) -> list[Suspicion]:
    """The suspicions that fit about as well as the best; sizes first, one for each entry."""
    rivals: list[Suspicion] = []
    for one in sorted(clear, key=_order, reverse=True):
        is_repeated = one.is_scale and one.keys in {r.keys for r in rivals}
        if (one is best or _is_possible(one, best)) and not is_repeated:
            rivals.append(one)
    return sorted(rivals, key=lambda s: not s.keys.startswith("input.height"))[:_SHOWN]


def _is_possible(one: Suspicion, best: Suspicion) -> bool:
    """Whether an entry may be the wrong one although another fits better.

    A smaller crop may gain up to `MIN_CROP_GAIN` whichever entry is wrong, so it does not rule out
    an entry that gains less.
    """
    is_in_advantage = best.least_gain == MIN_CROP_GAIN and one.is_scale
    if is_in_advantage and best.fit.accuracy - one.fit.accuracy < MIN_CROP_GAIN:
        return True
    return not is_clearly_better(best.fit, one.fit)


def _fit_text(rivals: Sequence[Suspicion], found: Fit) -> str:
    images = f"{len(found.labels)} images"
    if len(rivals) == 1:
        (only,) = rivals
        return (
            f"validation images fit {only.fits} better than the card's {only.card} (accuracy "
            f"{only.fit.accuracy:.1%} instead of {found.accuracy:.1%} on {images})."
        )
    fits = " or ".join(f"{s.fits} (accuracy {s.fit.accuracy:.1%})" for s in rivals)
    cards = " and ".join(dict.fromkeys(s.card for s in rivals))
    return (
        f"validation images fit {fits} better than the card's {cards} ({found.accuracy:.1%} on "
        f"{images}), and do not say which of them it is."
    )


def _advice(rivals: Sequence[Suspicion]) -> str:
    if len(rivals) == 1:
        return rivals[0].advice
    keys = " or ".join(dict.fromkeys(s.keys for s in rivals))
    return f"Look up in the training script what it did, and correct {keys} in the model card."
