"""Many images: whether memory grows with their number, and several processes against one.

    python tests/benchmarks/many.py memory [--images 2000]
    python tests/benchmarks/many.py throughput [--images 64] [--rounds 3] [--network alexnet]
    python tests/benchmarks/many.py table [--images 2000] [--classes 8]
    python tests/benchmarks/many.py restart [--images 200]

`memory` runs method 1 over many pictures and reads its resident memory as it goes. `throughput`
runs it as one process with all threads and as two that share the images and the threads, by turns,
whole processes from start to end; the start of Paddle, which both pay, is measured with one image
and taken off. `table` prints processes × threads for method 1, by `paddle.distributed.launch`, and
for method 2, as one process for each share of the classes. `restart` kills one process of a launch
in the middle, starts the same command again, and compares the results with an undisturbed run.
"""

import argparse
import csv
import os
import resource
import signal
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


def launched(processes: int, folder: Path) -> list[str]:
    """How to start a script in so many processes."""
    if processes == 1:
        return []
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
    return [*launch, "--log_dir", str(folder / f"log{processes}")]


def with_threads(threads: int) -> dict[str, str]:
    return {**environment(), "OMP_NUM_THREADS": str(threads)}


def table(folder: Path, count: int, classes: int, network: str) -> None:
    """Processes × threads: all of both that the processors allow, in powers of two."""
    processors = len(os.sched_getaffinity(0))
    powers = [2**n for n in range(processors.bit_length()) if 2**n <= processors]
    pairs = [(p, t) for p in powers for t in powers if p * t <= processors]
    many = pictures(folder / "many", count)
    print(f"{network}, {count} pictures, {classes} classes of 32 steps, {processors} processors\n")
    print("| script | processes | threads of each | s | images/s | largest process, MB so far |")
    print("| --- | --- | --- | --- | --- | --- |")
    for script, number, run in (("method 1", count, explained), ("method 2", classes, made)):
        for processes, threads in pairs:
            where = folder / f"{script[-1]}_{processes}_{threads}"
            began = time.perf_counter()
            run(where, processes, threads, many if run is explained else classes, network)
            taken = time.perf_counter() - began
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            cells = (script, processes, threads, f"{taken:.0f}", f"{number / taken:.2f}", memory)
            print("|", " | ".join(map(str, cells)), "|", flush=True)


def explained(where: Path, processes: int, threads: int, images: Path, network: str) -> None:
    done = [*launched(processes, where.parent), *command(images, where, network)]
    subprocess.run(
        [sys.executable, *done], check=True, capture_output=True, env=with_threads(threads),
        cwd=where.parent,
    )  # fmt: skip


def made(where: Path, processes: int, threads: int, classes: int, network: str) -> None:
    """Class images: each process has its own classes and its own folder."""
    model = f"{{name: {network}, weights: {'auto' if 'lite' in network else 'random'}}}"
    running = []
    for rank in range(processes):
        targets = list(range(130, 130 + classes))[rank::processes]
        keys = [f"target={targets}", f"output={where}/{rank}", f"model={model}", "iterations=32"]
        arguments = [part for key in keys for part in ("-o", key)]
        running.append(
            subprocess.Popen(
                [sys.executable, str(ROOT / "method_2_pp.py"), *arguments], cwd=ROOT,
                env=with_threads(threads), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
    codes = [process.wait() for process in running]
    assert not any(codes), codes


def restart(folder: Path, count: int, network: str) -> None:
    images = pictures(folder / "pictures", count)
    explained(folder / "undisturbed", 1, 1, images, network)
    arguments = command(images, folder / "out", network, "skip_existing=true")
    done = [sys.executable, *launched(2, folder), *arguments]
    first = subprocess.Popen(
        done, cwd=folder, env=with_threads(1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list((folder / "out").rglob("*.jpg"))) < count // 4:
        assert first.poll() is None, "the launch ended before a process was killed"
        time.sleep(0.05)
    os.kill(second_process(first.pid), signal.SIGKILL)
    code = first.wait()
    print(f"killed at {len(list((folder / 'out').rglob('*.jpg')))} figures; exit code {code}")
    subprocess.run(done, check=True, cwd=folder, env=with_threads(1), capture_output=True)
    results = [folder / name / "method_1" for name in ("undisturbed", "out")]
    figures = [{p.name: p.read_bytes() for p in each.glob("*.jpg")} for each in results]
    tables = [rows(each / "summary.csv") for each in results]
    print(f"figures alike: {figures[0] == figures[1]}, summary alike: {tables[0] == tables[1]}")
    left = [path.name for path in results[1].iterdir() if path.name.startswith(".")]
    print(f"{len(figures[1])} figures, {len(tables[1])} rows, files that were left: {left}")


def second_process(launcher: int) -> int:
    """The process of a launcher with the rank 1."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and b"PADDLE_TRAINER_ID=1\0" in (path / "environ").read_bytes():
                return int(path.name)
        except OSError:
            continue
    raise LookupError("no process of rank 1")


def rows(path: Path) -> list[dict]:
    """The rows of a summary, without the folder of the figures."""
    with path.open(newline="") as file:
        return [{**row, "figure": Path(row["figure"]).name} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["memory", "throughput", "table", "restart"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--network", default="efficientnet_lite0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.what == "memory":
            memory(Path(name), options.images or 2000, options.network)
        elif options.what == "table":
            table(Path(name), options.images or 2000, options.classes, options.network)
        elif options.what == "restart":
            restart(Path(name), options.images or 200, options.network)
        else:
            throughput(Path(name), options.images or 64, options.rounds, options.network)


if __name__ == "__main__":
    main()
