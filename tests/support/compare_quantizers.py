"""Compare FP32, ONNX Runtime's default quantization and edge-convert on the shared test split.

    python -m tests.support.compare_quantizers --models DIR --data ../shared/pbc --out DIR

DIR holds NAME.pt with NAME.yaml (see train_networks.py). Prints a table in Markdown and writes it
as JSON. All networks are calibrated on the unlabelled images and gated on the validation split;
the test split is only read here. Latencies of one network are interleaved.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from converters.reference.pbc import read_manifest
from edge.backends.onnx import open_onnx
from edge.bench.measure import interleave
from edge.bundle import Bundle, load_bundle
from edge.commands import installed_command
from edge.images import read_image
from edge.intervals import Share
from edge.preprocess import preprocess

NAIVE_IMAGES = 64


class Images(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    def __init__(self, images: list[NDArray[np.uint8]]) -> None:
        self._images: Iterator[NDArray[np.uint8]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image[None]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [compare(model, arguments.data, arguments.out) for model in arguments.models]
    (arguments.out / "comparison.json").write_text(json.dumps(rows, indent=1))
    print(table(rows))  # noqa: T201


def compare(model: Path, data: Path, out: Path) -> dict[str, Any]:
    bundle, seconds, peak_mb = convert(model, data, out)
    fp32 = bundle.read("model.fp32.onnx")
    graphs = {"fp32": fp32, "ort default": naive(fp32, bundle, data)}
    for name in ("int8", "int8.trt"):
        if any(a.path == f"model.{name}.onnx" for a in bundle.artefacts):
            graphs[name] = bundle.read(f"model.{name}.onnx")
    files = read_manifest(data, "test")
    images = [preprocess(read_image(file.path), bundle.input) for file in files]
    labels = np.array([bundle.classes.index(file.cell_class) for file in files])
    found = {name: accuracy(graph, name, images, labels) for name, graph in graphs.items()}
    served = {name: run(graph, images[0]) for name, graph in graphs.items() if name != "int8.trt"}
    latencies = interleave(served, 40)
    share = bundle.manifest["quantization"]["graphs"]
    return {
        "network": bundle.name,
        "accuracy": {name: one.to_dict() for name, one in found.items()},
        "milliseconds": {name: round(one.median, 2) for name, one in latencies.items()},
        "int8_share": {name: graph["int8_share_of_macs"] for name, graph in share.items()},
        "kept_float": {name: graph["kept_float_by_rescue"] for name, graph in share.items()},
        "divergence": divergence(bundle),
        "minutes": round(seconds / 60, 1),
        "peak_mb": round(peak_mb),
    }


def convert(model: Path, data: Path, out: Path) -> tuple[Bundle, float, float]:
    target = out / f"{model.stem}.edge"
    argv = [installed_command("edge-convert"), str(model), "--int8", "--no-cache", "--overwrite"]
    argv += ["--calibration", str(data / "unlabelled"), "--validation", str(data / "val")]
    start = time.monotonic()
    subprocess.run([*argv, "--out", str(target)], check=True)
    # The largest process so far: networks are given in the order of their size.
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return load_bundle(target), time.monotonic() - start, peak_mb


def divergence(bundle: Bundle) -> dict[str, dict[str, float]]:
    """Of each graph, in nats: on the validation images, and on probe images around correction."""
    evidence = json.loads(bundle.read("evidence/evidence.json"))
    return {
        name: {"validation": graph["divergence"]["value"], **graph["layer_correction"]}
        for name, graph in evidence["graphs"].items()
    }


def naive(fp32: bytes, bundle: Bundle, data: Path) -> bytes:
    paths = sorted((data / "unlabelled").glob("*.jpg"))[:NAIVE_IMAGES]
    images = [preprocess(read_image(path), bundle.input) for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(fp32)
        quantize_static(source, target, Images(images))
        return target.read_bytes()


def accuracy(
    graph: bytes, name: str, images: list[NDArray[np.uint8]], labels: NDArray[np.int64]
) -> Share:
    session = open_onnx(graph, "int8", optimise=name != "int8.trt")
    right = [int(session.infer(i[None]).argmax() == n) for i, n in zip(images, labels, strict=True)]
    return Share(sum(right), len(right))


def run(graph: bytes, image: NDArray[np.uint8]) -> Callable[[int], object]:
    session = open_onnx(graph, "int8")
    return lambda _: session.infer(image[None])


def table(rows: list[dict[str, Any]]) -> str:
    heads = ["network", "FP32", "ORT default INT8", "ours x86", "ours TensorRT"]
    heads += ["ms FP32 / ORT / ours", "INT8 MACs x86 / TensorRT"]
    heads += ["divergence x86 / TensorRT, nats", "minutes", "peak MB"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        names = ("fp32", "ort default", "int8", "int8.trt")
        cells = [_accuracy(row["accuracy"].get(name)) for name in names]
        speed = " / ".join(f"{value:.2f}" for value in row["milliseconds"].values())
        shares = " / ".join(f"{row['int8_share'][name]:.0%}" for name in ("x86", "tensorrt"))
        found = (f"{row['divergence'][name]['validation']:.5f}" for name in ("x86", "tensorrt"))
        cells = [row["network"], *cells, speed, shares, " / ".join(found)]
        cells += [str(row["minutes"]), str(row["peak_mb"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"\nONNX Runtime {ort.__version__}")
    return "\n".join(lines)


def _accuracy(share: dict[str, float] | None) -> str:
    if share is None:
        return "refused"
    return f"{share['rate']:.1%} ({share['low']:.1%} to {share['high']:.1%})"


if __name__ == "__main__":
    main()
