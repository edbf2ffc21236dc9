"""The part of the configuration that says how sidecars become slides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.files.strict_block import Block
from edge.results.differential.errors import ModelErrors
from edge.results.differential.limits import Limits
from edge.results.manifest.manifest import read_manifest
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.completeness import MARKER, QUIET_S, Completeness
from edge.results.slides.resolvers import MANIFEST_NAME, Resolvers
from edge.results.slides.slide_results import SlideRules
from edge.text.path_template import PathTemplate

# The folder of verifications in the state folder, unless the configuration names another one.
VERIFICATIONS: Final = "verifications"
# A week; a slide that is not complete by then needs a person.
LONGEST_QUIET_S: Final = 86400 * 7


@dataclass(frozen=True, slots=True)
class SlideConfig:
    """Where the sidecars are, and what makes slides of them; paths are absolute.

    Attributes:
        sidecars: the watch folder or results folder.
        images: the watch folder, where the sidecars are in a tree of their own; None if they are
            beside the images.
        template: for sidecars without ids.
        manifest: one for all images; None: those beside the images are read.
        verifications: folder of verification files.
        bundles: whose evidence tells the model's errors.
        takes_several_slides: see `SlideRules`.
    """

    sidecars: Path
    images: Path | None = None
    template: PathTemplate | None = None
    manifest: Path | None = None
    manifest_name: str = MANIFEST_NAME
    completeness: Completeness = field(default_factory=Completeness)
    verifications: Path | None = None
    bundles: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    takes_several_slides: bool = False

    def resolvers(self) -> Resolvers:
        """What names slides; made anew for each look, as it keeps the manifests that it read.

        Raises:
            StorageError: the manifest cannot be read.
        """
        return Resolvers(
            images=self.images,
            given=read_manifest(self.manifest) if self.manifest else None,
            template=self.template,
            manifest_name=self.manifest_name,
        )

    def rules(self, errors: Callable[[Sequence[SidecarCell]], ModelErrors]) -> SlideRules:
        """How cells become results.

        Args:
            errors: what is known of the model's errors on these cells.
        """
        return SlideRules(
            completeness=self.completeness,
            verifications=self.verifications,
            errors=errors,
            limits=self.limits,
            takes_several_slides=self.takes_several_slides,
        )

    def awaited(self) -> Iterator[str]:
        """A line for each path that is not there yet, with what does not work until it is."""
        for key, path, until in (
            ("sidecars.images", self.images, "no result is issued"),
            ("slides.manifest", self.manifest, "all images are held"),
            ("slides.verifications", self.verifications, "no result becomes final"),
        ):
            if path is not None and not os.path.lexists(path):
                yield f"{key}: {path} is not there; {until} until it is"

    @property
    def folders(self) -> Iterator[tuple[str, Path]]:
        """The folders that are read, each with its key."""
        yield "sidecars.folder", self.sidecars
        if self.images is not None:
            yield "sidecars.images", self.images
        if self.verifications is not None:
            yield "slides.verifications", self.verifications


def read_slide_config(sidecars: Block, slides: Block, limits: Block, base: Path) -> SlideConfig:
    """Read the three blocks; problems are noted in them."""
    bundles = slides.texts("bundles", ())
    config = SlideConfig(
        sidecars=sidecars.path("folder", base),
        images=_path(sidecars, "images", base),
        template=_template(sidecars),
        manifest=_path(slides, "manifest", base),
        manifest_name=slides.text("manifest_name", MANIFEST_NAME) or MANIFEST_NAME,
        completeness=Completeness(
            marker=slides.text("marker", MARKER),
            quiet_s=slides.number_or_null("quiet_s", QUIET_S, low=0, high=LONGEST_QUIET_S),
        ),
        verifications=_path(slides, "verifications", base),
        bundles=tuple(Path(os.path.normpath(base / bundle)) for bundle in bundles),
        limits=_limits(limits),
        takes_several_slides=slides.boolean("several_per_sample", default=False),
    )
    for block in (sidecars, slides, limits):
        block.close()
    return config


def _path(block: Block, key: str, base: Path) -> Path | None:
    text = block.text(key)
    return Path(os.path.normpath(base / text)) if text else None


def _template(block: Block) -> PathTemplate | None:
    text = block.text("sample")
    if not text:
        return None
    try:
        return PathTemplate.parse(text)
    except ConfigError as error:
        block.note("sample", f"is wrong: {error}".rstrip("."))
        return None


def _limits(block: Block) -> Limits:
    usual = Limits()
    shares = {
        one.name: block.number(one.name, getattr(usual, one.name), low=0, high=1)
        for one in fields(Limits)[1:]
    }
    fewest = block.whole("fewest_leukocytes", usual.fewest_leukocytes, low=0, high=1_000_000)
    return Limits(fewest, **shares)
