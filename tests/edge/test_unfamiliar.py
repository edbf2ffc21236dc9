"""Tests for edge.labeller and edge.golden: images that are not of the laboratory."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.demo.analyzer import drawn_images
from edge.errors import BackendError, BundleError
from edge.golden import open_labeller
from edge.labeller import Labeller
from edge.sidecar import Origin, model_facts, now, sidecar_fields, to_csv
from edge.status import Status
from edge.trust.reference import MAX_REFERENCE_BYTES, REFERENCE_NAME
from tests.support.images import Jpeg
from tests.support.laboratory import GRAPHS, NEW_SEED, fitted
from tests.support.small_bundle import write_small_bundle

SCHEMA = json.loads(Path("edge/schemas/edge-sidecar-1.json").read_text())


@pytest.fixture
def bundle(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    reference = fitted().reference.to_bytes()
    return write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A cell of the laboratory."""
    (tmp_path / "drawn.jpg").write_bytes(next(iter(drawn_images(1, NEW_SEED)))[1])
    return tmp_path / "drawn.jpg"


@pytest.fixture
def strange(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """A picture that is none."""
    (tmp_path / "strange.jpg").write_bytes(colour_jpeg("red"))
    return tmp_path / "strange.jpg"


def _labeller(root: Path, *, labels_unfamiliar: bool = False) -> Labeller:
    bundle = load_bundle(root)
    return open_labeller(bundle, open_session(bundle), labels_unfamiliar=labels_unfamiliar)


def test_image_of_the_laboratory_passes_and_a_strange_one_gets_no_label(
    bundle: Path, drawn: Path, strange: Path
) -> None:
    labeller = _labeller(bundle)
    found = labeller.label(drawn)
    assert found.familiarity
    assert found.familiarity.passes
    other = labeller.label(strange)
    assert other.familiarity
    assert not other.familiarity.passes
    assert other.status is Status.UNIDENTIFIED
    # The model was sure of it.
    assert other.decision
    assert other.decision.is_identified


def test_strange_image_keeps_its_label_where_the_site_wants_a_note_only(
    bundle: Path, strange: Path
) -> None:
    found = _labeller(bundle, labels_unfamiliar=True).label(strange)
    assert found.familiarity
    assert not found.familiarity.passes
    assert found.status is Status.LABELLED


def test_familiarity_is_the_same_in_a_batch(bundle: Path, drawn: Path, strange: Path) -> None:
    labeller = _labeller(bundle)
    alone = [labeller.label(path).familiarity for path in (drawn, strange)]
    batch = labeller.label_batch([strange, drawn, strange])
    found = [getattr(outcome, "familiarity", None) for outcome in batch]
    assert found == [alone[1], alone[0], alone[1]]


def test_bundle_without_a_reference_judges_nothing(small_bundle: Path, strange: Path) -> None:
    found = _labeller(small_bundle).label(strange)
    assert (found.status, found.familiarity) == (Status.LABELLED, None)


def test_sidecars_hold_familiarity_and_keep_to_the_schema(
    bundle: Path, drawn: Path, strange: Path, tmp_path: Path
) -> None:
    labeller = _labeller(bundle)
    model = model_facts(load_bundle(bundle), labeller.session)
    (tmp_path / "empty.jpg").touch()
    expected = {drawn: (True, ""), strange: (False, None), tmp_path / "empty.jpg": (None, "")}
    for path, (passes, reason) in expected.items():
        outcome = labeller.label(path)
        fields = sidecar_fields(outcome, Origin(path.name), model, host="h", created=now())
        jsonschema.validate(fields, SCHEMA)
        text = to_csv(fields, model.classes).decode()
        (row,) = csv.DictReader(io.StringIO(text, newline=""))
        if passes is None:
            assert fields["familiarity"] is None
        else:
            assert fields["familiarity"]["passes"] is passes
            assert (fields["familiarity"]["reason"] is None) is passes
        assert row["familiarity_passes"] == ("" if passes is None else str(passes).lower())
        assert reason is None or row["familiarity_reason"] == reason


def _with_scores(root: Path, jpeg: Jpeg, shift: float) -> Path:
    """A bundle whose golden images have the scores that its graph gives, moved by `shift`."""
    reference = fitted().reference.to_bytes()
    plain = write_small_bundle(root / "plain.edge", jpeg, reference=reference)
    labeller = _labeller(plain)
    found = [labeller.label(plain / one.path).familiarity for one in load_bundle(plain).golden]
    scores = [dict.fromkeys(GRAPHS, one.score + shift) for one in found if one]
    return write_small_bundle(root / "scored.edge", jpeg, reference=reference, scores=scores)


@pytest.mark.parametrize("shift", [0.0, 1.9])
def test_session_with_about_the_expected_features_is_opened(
    tmp_path: Path, colour_jpeg: Jpeg, shift: float
) -> None:
    bundle = load_bundle(_with_scores(tmp_path, colour_jpeg, shift))
    session = open_session(bundle, precision="int8")
    assert open_labeller(bundle, session).session is session


def test_session_with_other_features_is_refused(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    bundle = load_bundle(_with_scores(tmp_path, colour_jpeg, 500.0))
    with pytest.raises(BackendError, match=r"familiarity score of .* features are wrong"):
        open_labeller(bundle, open_session(bundle))


def test_damaged_reference_is_refused_when_the_bundle_is_opened(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    root = write_small_bundle(tmp_path / "a.edge", colour_jpeg, reference=b"{}")
    bundle = load_bundle(root)
    with pytest.raises(BundleError, match=r"reference/laboratory\.json cannot be used"):
        open_labeller(bundle, open_session(bundle))


def test_reference_that_is_too_large_is_refused(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    content = b" " * (MAX_REFERENCE_BYTES + 1)
    root = write_small_bundle(tmp_path / "a.edge", colour_jpeg, reference=content)
    with pytest.raises(BundleError, match="more than 400000 bytes"):
        load_bundle(root)


def test_reference_is_kept_in_memory(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    (bundle / REFERENCE_NAME).unlink()
    assert loaded.read(REFERENCE_NAME) == fitted().reference.to_bytes()
