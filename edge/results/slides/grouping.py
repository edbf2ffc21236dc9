"""Gathers images to slides, and finds why some of these must be held."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from edge.errors import ConfigError
from edge.results.differential.bundle_errors import require_known_classes
from edge.results.document.ids import alike_form, unfit_id
from edge.results.manifest.manifest import ManifestRow
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.outcome import Note, UnidentifiedSample
from edge.results.slides.resolvers import Ids, Resolvers
from edge.results.slides.slide import Slide, in_order, is_rejected
from edge.text.counted import counted

# How far clocks of two machines may differ.
CLOCK_TOLERANCE: Final = timedelta(minutes=2)
# A slide's folder, and those of an image and its sidecar in it.
Place: TypeAlias = tuple[Path, Path, Path]
LIKE_ANOTHER: Final = "another one that differs only in case, spaces or Unicode form"
_MOST_ROWS: Final = 5
NOT_NAMED: Final = "no manifest and no path template names the sample"


@dataclass(slots=True)
class Gathered:
    """The slides of all images, and the images without a sample.

    Attributes:
        slides: in the order of their ids.
        problems: why a slide is held, by its key; the first reason that was found.
        unused: rows of manifests that named no image: place of the manifest and row.
    """

    slides: list[Slide]
    unidentified: list[UnidentifiedSample]
    problems: dict[str, str]
    unused: list[tuple[str, ManifestRow]]


@dataclass(slots=True)
class _Group:
    images: list[SidecarCell] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)
    places: set[Place] = field(default_factory=set)
    rows: dict[int, ManifestRow] = field(default_factory=dict)
    problem: str | None = None


def gather(
    cells: Iterable[SidecarCell],
    resolvers: Resolvers,
    *,
    alike_issued: Callable[[Slide], Sequence[str]],
    now: datetime,
) -> Gathered:
    """Gather images to slides.

    Args:
        alike_issued: issued sample ids that a LIS may take for that of a slide.
    """
    groups: dict[tuple[str, str | None], _Group] = defaultdict(_Group)
    nameless: dict[tuple[str, str], int] = defaultdict(int)
    contested: dict[Ids, str | None] = {}
    files: dict[Path, set[str]] = defaultdict(set)
    for cell in cells:
        found = resolvers.identity(cell)
        folder = resolvers.image_folder(cell)
        files[folder].add(cell.file)
        if found.sample_id is None:
            # A manifest that cannot be used may name it.
            nameless[cell.folder, found.problem or NOT_NAMED] += 1
            continue
        group = groups[found.sample_id, found.slide_id]
        group.images.append(cell)
        group.folders.add(found.folder)
        group.places.add((found.folder, folder, cell.sidecar.parent))
        group.rows.update({id(row): row for row in found.rows})
        group.problem = group.problem or found.problem
        if found.contested:
            contested.update(dict.fromkeys(found.contested, found.problem))
    for ids, group in groups.items():
        group.problem = group.problem or contested.get(ids)
    unused, absent = _unused_rows(resolvers, groups)
    above = Counter(
        place
        for g in groups.values()
        for folder in g.folders
        for place in (folder, *folder.parents)
    )
    slides = [
        _slide(ids, groups[ids], absent.get(ids, 0), files, above)
        for ids in sorted(groups, key=_order)
    ]
    problems = {slide.key: p for slide in slides if (p := _problem(slide, groups, now))}
    for slide, problem in _problems_between(slides, alike_issued):
        problems.setdefault(slide.key, problem)
    return Gathered(slides, _unidentified(nameless), problems, unused)


def manifest_notes(gathered: Gathered, resolvers: Resolvers) -> Iterator[Note]:
    """What a person should know of the manifests themselves."""
    for _, manifest in resolvers.manifests():
        if manifest.problem:
            yield Note(None, None, f"{manifest.name} {manifest.problem}")
        for line in manifest.repeated:
            yield Note(None, None, f"row {line} of {manifest.name} says the same as one before it")
    if gathered.unused:
        rows = [str(row.line) for _, row in gathered.unused]
        shown = ", ".join(rows[:_MOST_ROWS]) + (" and more" if len(rows) > _MOST_ROWS else "")
        text = f"{counted(len(rows), 'row')} of the manifest without an image: {shown}"
        yield Note(None, None, text)


def _order(ids: tuple[str, str | None]) -> tuple[str, str]:
    return ids[0], ids[1] or ""


def _slide(
    ids: tuple[str, str | None],
    group: _Group,
    absent: int,
    files: Mapping[Path, Collection[str]],
    above: Mapping[Path, int],
) -> Slide:
    # Folders for each class of cell below a slide's folder belong to it, also those of which no
    # image is known yet. A folder with other slides in it is looked at without those below.
    is_alone = all(above[folder] == 1 for folder in group.folders)
    return Slide(
        *ids,
        folders=frozenset(group.folders),
        images=tuple(in_order(group.images)),
        rows=tuple(sorted(group.rows.values(), key=lambda row: row.line)),
        absent=absent,
        is_alone=is_alone,
        image_folders=frozenset(top if is_alone else own for top, own, _ in group.places),
        sidecar_folders=frozenset(
            _climbed(sidecars, own, top) if is_alone else sidecars
            for top, own, sidecars in group.places
        ),
        files=files,
    )


def _climbed(sidecars: Path, own: Path, top: Path) -> Path:
    """The folder of sidecars that is as far above those of an image as the slide's folder."""
    up = len(own.parts) - len(top.parts)
    return sidecars.parents[up - 1] if up > 0 else sidecars


def _unidentified(nameless: Mapping[tuple[str, str], int]) -> list[UnidentifiedSample]:
    return [
        UnidentifiedSample(folder, images, reason)
        for (folder, reason), images in sorted(nameless.items())
    ]


def _unused_rows(
    resolvers: Resolvers, groups: dict[tuple[str, str | None], _Group]
) -> tuple[list[tuple[str, ManifestRow]], dict[tuple[str, str | None], int]]:
    """Rows without an image, and how many of them name an image of a slide that has others."""
    unused, absent = [], dict[tuple[str, str | None], int]()
    for place, manifest in resolvers.manifests():
        for row in manifest.rows:
            if (place, row.line) in resolvers.used:
                continue
            ids = row.sample_id, row.slide_id
            if ids in groups and not row.is_pattern:
                absent[ids] = absent.get(ids, 0) + 1
            else:
                unused.append((place, row))
    return unused, absent


def _problem(
    slide: Slide, groups: dict[tuple[str, str | None], _Group], now: datetime
) -> str | None:
    """Why a slide is held, as far as its own images and rows tell."""
    for name, text in (("sample", slide.sample_id), ("slide", slide.slide_id)):
        if text is not None and (problem := unfit_id(text)):
            return f"its {name} id {problem}"
    if problem := groups[slide.sample_id, slide.slide_id].problem:
        return problem
    if len(slide.folders) > 1:
        return f"its id is in {len(slide.folders)} folders; give each slide its own id"
    return _contradiction(slide.rows) or _wrong_images(slide, now)


def _contradiction(rows: Sequence[ManifestRow]) -> str | None:
    for column in ("cells", "wbc", "collected"):
        said: dict[object, int] = {}
        for row in rows:
            if (value := getattr(row, column)) is not None:
                said.setdefault(value, row.line)
        if len(said) > 1:
            lines = " and ".join(map(str, list(said.values())[:2]))
            return f"rows {lines} of the manifest differ in {column}"
    return None


def _wrong_images(slide: Slide, now: datetime) -> str | None:
    try:
        require_known_classes(slide.images)
    except ConfigError as error:
        return str(error)
    expected = slide.expected()
    if expected is not None and slide.different() > expected:
        images = counted(slide.different(), "image")
        return f"{images} are there, the manifest expects {expected}"
    if slide.newest() > now + CLOCK_TOLERANCE:
        return "a cell was labelled in the future; set the clocks"
    collected = slide.collected()
    if collected is not None and collected > now + CLOCK_TOLERANCE:
        return "the manifest says that the sample was collected in the future"
    return None


def _problems_between(
    slides: list[Slide], alike_issued: Callable[[Slide], Sequence[str]]
) -> Iterator[tuple[Slide, str]]:
    """Slides that are held because of another one."""
    samples, slide_ids = defaultdict(set), defaultdict(set)
    first_with: dict[str, str] = {}
    shared: set[str] = set()
    for slide in slides:
        key = slide.key
        samples[alike_form(slide.sample_id)].add(slide.sample_id)
        slide_ids[slide.sample_id, alike_form(slide.slide_id or "")].add(slide.slide_id)
        for image in slide.images:
            if image.sha256 is not None and not is_rejected(image):
                other = first_with.setdefault(image.sha256, key)
                if other != key:
                    shared.update((other, key))
    for slide in slides:
        if len(samples[alike_form(slide.sample_id)]) > 1:
            yield slide, f"a LIS may take its sample id for {LIKE_ANOTHER}"
        if len(slide_ids[slide.sample_id, alike_form(slide.slide_id or "")]) > 1:
            yield slide, f"a LIS may take its slide id for {LIKE_ANOTHER}"
        if slide.key in shared:
            yield (
                slide,
                (
                    "an image of it is also in another slide, so that one of the ids is wrong; "
                    "after a folder was renamed, remove the sidecars of its old name"
                ),
            )
        if alike_issued(slide):
            yield slide, f"a LIS may take its sample id for an issued one; it is {LIKE_ANOTHER}"
