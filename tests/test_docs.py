"""What the documents tell to type is accepted by the programs, and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import daemon.cli
import edge.bench.cli
import edge.results.cli
from converters.cli_options import build_parser
from daemon.config.config import load_config

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARSERS = {
    "edge-convert": build_parser,
    "edge-daemon": daemon.cli.build_parser,
    "edge-bench": edge.bench.cli.build_parser,
    "edge-results": edge.results.cli.build_parser,
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def block(page: Path, language: str) -> str:
    """The only fenced block of a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return str(text)


def command_lines(page: Path) -> list[list[str]]:
    """The words of each line that starts one of the commands, of blocks set in."""
    text = page.read_text().replace("\\\n", " ")
    # An apostrophe is one of prose, in a list.
    lines = [line for line in text.splitlines() if line.startswith("    ") and "'" not in line]
    words = [shlex.split(line, comments=True) for line in lines]
    return [[Path(w[0]).name, *w[1:]] for w in words if w and Path(w[0]).name in PARSERS]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), (path, anchor)


def test_links_are_found() -> None:
    assert sum(page.read_text().count("](") for page in PAGES) > 50


@each_page
def test_command_lines_are_understood(page: Path) -> None:
    for name, *words in command_lines(page):
        try:
            PARSERS[name]().parse_args(words)
        except SystemExit as ended:
            # Such as --version; 2 is what a parser refuses with.
            assert not ended.code, words  # noqa: PT017


def test_command_lines_are_found() -> None:
    commands = [words for page in PAGES for words in command_lines(page)]
    assert len(commands) > 15
    assert {words[0] for words in commands} >= {"edge-convert", "edge-daemon"}


def test_small_configuration_of_the_readme_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(block(ROOT / "README.md", "yaml"))
    config = load_config(path)
    assert [watch.folder for watch in config.watch] == [tmp_path / "export"]


def test_samba_takes_the_configuration_of_the_page_on_shares(tmp_path: Path) -> None:
    testparm = shutil.which("testparm")
    if testparm is None:
        pytest.skip("testparm is not installed (Debian: samba)")
    path = tmp_path / "smb.conf"
    path.write_text(block(ROOT / "docs/daemon/shares.md", "ini"))
    result = subprocess.run(
        [testparm, "-s", str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Unknown parameter" not in result.stderr
    assert "[export]" in result.stdout
    assert "oplocks = No" in result.stdout
