"""Finds each image's sample and slide: from a manifest, else from its path, else not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from edge.results.manifest.manifest import Manifest, ManifestRow, read_manifest
from edge.results.reading.sidecar_cell import SidecarCell
from edge.text.path_template import PathTemplate

MANIFEST_NAME: Final = "manifest.csv"
# Sample and slide.
Ids: TypeAlias = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose an image is.

    Attributes:
        sample_id: None if nobody named the sample.
        folder: the real folder that has the slide's images, and no other slide's of another folder.
        rows: rows of manifests that name the image.
        problem: why the image is held although its sample is named.
        contested: the slides that rows name it for, if these differ; all of them are held.
    """

    sample_id: str | None
    slide_id: str | None
    folder: Path
    rows: tuple[ManifestRow, ...] = ()
    problem: str | None = None
    contested: frozenset[Ids] = frozenset()


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder of sidecars, for which these are found once and not for each of its cells.

    Attributes:
        folder: the real one of the images.
        manifests: those that may name them, each with its place.
        plain: whose an image is that no manifest and no template names, by its sidecar's ids.
    """

    folder: Path
    manifests: list[tuple[Path, Manifest]]
    plain: dict[Ids, Identity] = field(default_factory=dict)


@dataclass(slots=True)
class Resolvers:
    """The resolvers of one look through the sidecars, with the manifests that were read.

    Attributes:
        images: the watch folder, where the sidecars are in a tree of their own; None if they are
            beside the images.
        given: a manifest of all images, with paths relative to their watch folder; the manifests
            beside the images are not looked for then.
        template: for sidecars without ids; those with ids were resolved by the service.
        manifest_name: of manifests beside the images, in the watch folder or any folder below it.
        used: the rows that named an image, by manifest.
    """

    images: Path | None = None
    given: Manifest | None = None
    template: PathTemplate | None = None
    manifest_name: str = MANIFEST_NAME
    used: set[tuple[str, int]] = field(default_factory=set)
    _found: dict[Path, Manifest | None] = field(default_factory=dict)
    _places: dict[tuple[str, str], _Place] = field(default_factory=dict)

    def manifests(self) -> list[tuple[str, Manifest]]:
        """The manifests that were read, each with its place for messages."""
        found = [(str(folder), one) for folder, one in self._found.items() if one]
        return ([("", self.given)] if self.given else []) + sorted(found)

    def paths(self) -> list[Path]:
        """The manifests beside the images that were read."""
        return [folder / self.manifest_name for folder, one in self._found.items() if one]

    def identity(self, cell: SidecarCell) -> Identity:
        """Whose an image is."""
        place = self._place(cell)
        if place.manifests or self.template is not None:
            return self._identity(cell, place)
        ids = cell.sample_id, cell.slide_id
        found = place.plain.get(ids)
        if found is None:
            found = place.plain[ids] = self._identity(cell, place)
        return found

    def image_folder(self, cell: SidecarCell) -> Path:
        """The real folder of an image."""
        return self._place(cell).folder

    def _place(self, cell: SidecarCell) -> _Place:
        # Its text is quicker to look up than the folder's `Path`.
        key = str(cell.sidecar).rpartition("/")[0], cell.folder
        found = self._places.get(key)
        if found is None:
            folder = cell.sidecar.parent
            if self.images is not None:
                folder = self.images if cell.folder == "." else self.images / cell.folder
            found = self._places[key] = _Place(folder, self._manifests_for(cell, folder))
        return found

    def _identity(self, cell: SidecarCell, at: _Place) -> Identity:
        folder = at.folder
        rows, problem = self._rows(cell, at)
        path_ids, path_folder = self._by_path(cell)
        if problem:
            return Identity(*path_ids, _above(folder, cell.folder, path_folder), problem=problem)
        if not rows:
            return Identity(*path_ids, _above(folder, cell.folder, path_folder))
        found = tuple(row for _, row in rows)
        place, first = rows[0]
        wrong = next(
            (f"row {r.line} of the manifest {r.problem}" for r in found if r.problem), None
        )
        named = {(row.sample_id, row.slide_id or path_ids[1]) for row in found}
        if len(named) > 1:
            lines = " and ".join(map(str, sorted(row.line for row in found)[:2]))
            wrong = wrong or f"rows {lines} of the manifest name different samples or slides"
        sample_id, slide_id = first.sample_id or path_ids[0], first.slide_id or path_ids[1]
        contested = frozenset(named if len(named) > 1 else ())
        return Identity(sample_id, slide_id, place, found, wrong, contested)

    def _rows(
        self, cell: SidecarCell, at: _Place
    ) -> tuple[list[tuple[Path, ManifestRow]], str | None]:
        """The rows that name an image, each with its slide's folder; or a manifest's problem."""
        rows = []
        for place, manifest in at.manifests:
            if manifest.problem:
                return [], f"{manifest.name} {manifest.problem}"
            names = at.folder.relative_to(place).parts
            for row in manifest.rows_for("/".join([*names, cell.file])):
                self.used.add((str(place) if manifest is not self.given else "", row.line))
                depth = 0 if row.folder == "." else row.folder.count("/") + 1
                # A row that names an image is as deep as the image; its folder is then the slide's.
                rows.append((place.joinpath(*names[:depth]), row))
        return rows, None

    def _manifests_for(self, cell: SidecarCell, folder: Path) -> list[tuple[Path, Manifest]]:
        """The manifests of the image's folder and of those above it, to the watch folder."""
        depth = 0 if cell.folder == "." else cell.folder.count("/") + 1
        places = [folder, *folder.parents[:depth]]
        if self.given is not None:
            return [(places[-1], self.given)]
        found = ((place, self._manifest(place)) for place in places)
        return [(place, manifest) for place, manifest in found if manifest]

    def _manifest(self, folder: Path) -> Manifest | None:
        if folder not in self._found:
            path = folder / self.manifest_name
            self._found[folder] = read_manifest(path) if _exists(path) else None
        return self._found[folder]

    def _by_path(self, cell: SidecarCell) -> tuple[Ids, str | None]:
        """The ids that the path gives, and the folder below the watch folder that has them."""
        path = cell.image.encode(errors="surrogateescape")
        ids = cell.sample_id, cell.slide_id
        folder = self.template.folder_of_ids(path) if self.template else None
        if ids == (None, None) and self.template:
            ids = self.template.ids(path)
        return ids, folder if folder is not None else _folder_with(cell.folder, ids)


def _folder_with(folder: str, ids: Ids) -> str:
    """The folder whose name has the slide's id, or the sample's; the image's folder otherwise.

    The template is the service's, and not known here. Below such a folder there may be some for
    each class of cell.
    """
    names = folder.split("/")
    for wanted in filter(None, reversed(ids)):
        for fits in (str.__eq__, str.__contains__):
            if places := [i for i, name in enumerate(names) if fits(name, wanted)]:
                return "/".join(names[: places[-1] + 1])
    return folder


def _above(folder: Path, relative: str, wanted: str | None) -> Path:
    """The real folder above `folder`, whose path below the watch folder is `relative`."""
    depth = [0 if one == "." else one.count("/") + 1 for one in (relative, wanted or relative)]
    up = depth[0] - depth[1]
    return folder.parents[up - 1] if up > 0 else folder


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # It may be there: reading it will say what is wrong.
        return True
    return True
