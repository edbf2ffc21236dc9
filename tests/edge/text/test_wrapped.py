from __future__ import annotations

from edge.text.wrapped import WIDTH, wrapped


def test_wrapped_text_keeps_a_number_with_its_unit() -> None:
    for length in range(WIDTH - 12, WIDTH):
        text = wrapped(f"{'x' * length} 66 % of 5.3 s and 12 ms")
        assert max(map(len, text.splitlines())) <= WIDTH
        assert not any(line.strip().startswith(("%", "s ", "ms")) for line in text.splitlines())


def test_wrapped_text_is_printable_and_loses_nothing() -> None:
    text = "one\x1b[2J " + "word " * 40 + "10 % end"
    found = wrapped(text)
    assert " ".join(found.split()) == text.replace("\x1b", "\\x1b")
    assert all(line.startswith("  ") for line in found.splitlines()[1:])
