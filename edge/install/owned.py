"""The files that an installation owns: those that are still as it wrote them may be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from edge.install.files import command_path, command_text, lines_without_comments, shipped
from edge.install.records import digest, other_records, record_text
from edge.install.steps import FileStep, RemoveStep, System

# Whether a file with this text is unchanged since an installation wrote it.
Wrote: TypeAlias = Callable[[Path, str], bool]


def drop_in_steps(
    system: System, folder: Path, contents: Mapping[str, str | None], wrote: Wrote
) -> Iterator[FileStep | RemoveStep]:
    """Write the drop-ins that are needed (not None) and remove the others; a person's own stay."""
    for name, content in contents.items():
        path = folder / name
        present = system.text_of(path)
        is_ours = present is None or wrote(path, present)
        if content is not None:
            example = lines_without_comments(shipped(f"drop-ins/{name}"))
            is_copy = lines_without_comments(present) == example
            yield FileStep(path, content, is_editable=not (is_ours or is_copy))
        elif present is not None and is_ours:
            yield RemoveStep(path)


def command_steps(system: System, program: Path, wrote: Wrote) -> Iterator[FileStep]:
    """A script that starts the program, unless the program itself is in this place."""
    path = command_path(program.name)
    if program != path:
        present = system.text_of(path)
        is_ours = present is None or wrote(path, present)
        yield FileStep(path, command_text(program), is_editable=not is_ours, mode=0o755)


def record_steps(root: Path, record: Path, files: Sequence[FileStep]) -> Iterator[FileStep]:
    """The record of what is written, and those of other installations that share a file."""
    written = {str(step.path): digest(step.content) for step in files if not step.is_editable}
    yield FileStep(record, record_text(written), is_generated=True)
    for path, recorded in other_records(root, record).items():
        shared = {name: written[name] for name in recorded if name in written}
        yield FileStep(path, record_text({**recorded, **shared}), is_generated=True)
