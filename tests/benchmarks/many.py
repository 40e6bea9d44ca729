"""Many images: whether memory grows with their number, and two processes against one.

    python tests/benchmarks/many.py memory [--images 2000]
    python tests/benchmarks/many.py throughput [--images 64] [--rounds 3] [--network alexnet]

`memory` runs method 1 over many pictures and reads its resident memory as it goes. `throughput`
runs it as one process with all threads and as two that share the images and the threads, by turns,
whole processes from start to end; the start of Paddle, which both pay, is measured with one image
and taken off.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "method_1_pp.py")


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.integers(0, 256, (6, 8, 3)).astype("uint8")
        Image.fromarray(coarse).resize((320, 240)).save(folder / f"{number:05}.jpg")
    return folder


def command(images: Path, output: Path, network: str, *more: str) -> list[str]:
    model = f"{{name: {network}, weights: {'auto' if 'lite' in network else 'random'}}}"
    settings = [f"images={images}", f"output={output}", f"model={model}", *more]
    return [SCRIPT, *(part for setting in settings for part in ("-o", setting))]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}


def resident(process: int) -> int:
    """Its memory in MB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def memory(folder: Path, count: int, network: str) -> None:
    images = pictures(folder / "pictures", count)
    arguments = command(images, folder / "out", network, "report=true")
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=environment(),
    )  # fmt: skip
    read = []
    for number, _ in enumerate(process.stdout, 1):
        if number % max(1, count // 20) == 0:
            read.append(resident(process.pid))
            print(f"after {number} images {read[-1]} MB", flush=True)
    assert process.wait() == 0
    print(f"from a tenth of the images to all of them: {read[-1] - read[1]:+} MB")


def throughput(folder: Path, count: int, rounds: int, network: str) -> None:
    one = pictures(folder / "one", 1)
    many = pictures(folder / "many", count)
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir"]
    starts = {"one process": [], "two processes": [*launch, str(folder / "log")]}

    def seconds(start: list[str], images: Path) -> float:
        began = time.perf_counter()
        arguments = command(images, folder / "out", network)
        done = [sys.executable, *start, *arguments]
        subprocess.run(done, check=True, capture_output=True, env=environment(), cwd=folder)
        return time.perf_counter() - began

    ratios, whole = [], []
    for turn in range(rounds + 1):
        found = {name: (seconds(s, many), seconds(s, one)) for name, s in starts.items()}
        (a, a0), (b, b0) = found["one process"], found["two processes"]
        if turn:
            ratios.append((a - a0) / (b - b0))
            whole.append(a / b)
    print(
        f"{network}, {count} images: two processes do {statistics.median(ratios):.2f} times as many"
    )
    print(f"from start to end, the start of Paddle included, {statistics.median(whole):.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["memory", "throughput"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", default="efficientnet_lite0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.what == "memory":
            memory(Path(name), options.images or 2000, options.network)
        else:
            throughput(Path(name), options.images or 64, options.rounds, options.network)


if __name__ == "__main__":
    main()
