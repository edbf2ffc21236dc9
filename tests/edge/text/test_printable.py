from __future__ import annotations

import pytest

from edge.command.run import run_command
from edge.errors import ConfigError
from edge.text.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Zellen/Größe 血 1.jpg", "Zellen/Größe 血 1.jpg", id="letters"),
        pytest.param("a\x1b[2J\r\n.jpg", r"a\x1b[2J\r\n.jpg", id="control characters"),
        pytest.param("caf\udce9.jpg", r"caf\xe9.jpg", id="bytes of another encoding"),
        pytest.param("a\u202egpj.exe", r"a\u202egpj.exe", id="right to left"),
        pytest.param("a\ud800", r"a\ud800", id="half a surrogate pair"),
    ],
)
def test_printable_escapes_what_a_terminal_would_obey(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_run_command_shows_a_name_in_an_error_with_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise ConfigError("no folder in\x1b[2J.\nSecond line.")

    assert run_command(fail) == 2
    assert capsys.readouterr().err == "error: no folder in\\x1b[2J.\nerror: Second line.\n"
    assert run_command(fail, debug=True) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "\x1b" not in said
