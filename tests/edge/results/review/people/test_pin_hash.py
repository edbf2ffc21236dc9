from __future__ import annotations

import pytest

from edge.results.review.people.pin_hash import PinHash

SALT = "A" * 22 + "=="
DIGEST = "A" * 43 + "="


def test_hash_matches_its_pin_and_no_other() -> None:
    found = PinHash.parse(str(PinHash.of("grünes Licht")))
    assert found.matches("grünes Licht")
    assert not found.matches("grünes licht")
    assert not found.matches("")
    assert not found.matches("grünes Licht" * 20)


def test_letter_written_in_two_ways_is_one_pin() -> None:
    composed, decomposed = "gru\u0308nes Licht", "gr\u00fcnes Licht"
    assert PinHash.of(composed).matches(decomposed)


def test_two_hashes_of_one_pin_differ() -> None:
    assert str(PinHash.of("123456")) != str(PinHash.of("123456"))


@pytest.mark.parametrize("pin", ["12345", "a" * 65, "12345\n", "", "\0" * 8])
def test_pin_of_wrong_length_or_characters_is_refused(pin: str) -> None:
    with pytest.raises(ValueError, match="6 to 64 printable characters"):
        PinHash.of(pin)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("123456", "no PIN hash"),
        ("", "no PIN hash"),
        (f"bcrypt$16384$8$1${SALT}${DIGEST}", "no PIN hash"),
        (f"scrypt$16384$8$1${SALT}${DIGEST}\n", "no PIN hash"),
        (f"scrypt$16384$8$1${SALT}${DIGEST[:20]}", "no PIN hash"),
        (f"scrypt$1024$8$1${SALT}${DIGEST}", "weaker"),
        (f"scrypt$20000$8$1${SALT}${DIGEST}", "weaker"),
        (f"scrypt$16384$1$1${SALT}${DIGEST}", "weaker"),
        (f"scrypt$16384$8$0${SALT}${DIGEST}", "weaker"),
        (f"scrypt$16384$8$999${SALT}${DIGEST}", "weaker"),
        (f"scrypt$67108864$8$1${SALT}${DIGEST}", "more than 64 MiB"),
        (f"scrypt$16384$999$1${SALT}${DIGEST}", "more than 64 MiB"),
        (f"scrypt$16384$8$1$AAAAAAAA${DIGEST}", "less than 16 bytes"),
        (f"scrypt$16384$8$1$AAAAAAAAA${DIGEST}", "cut off or mistyped"),
    ],
)
def test_line_that_is_no_usable_hash_is_refused_without_quoting_it(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        PinHash.parse(text)
    assert not text or text not in str(error.value)


def test_costlier_hash_of_another_program_is_taken() -> None:
    assert PinHash.parse(f"scrypt$32768$8$2${SALT}${DIGEST}").lanes == 2
