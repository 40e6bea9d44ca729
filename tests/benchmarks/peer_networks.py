"""The gradient of the image on seven networks, side by side with plain PyTorch.

    pip install torch timm paddleclas
    python tests/benchmarks/peer_networks.py [--rounds 5] [--threads 2] [--only ResNet50 …]

Both sides have the same architecture with random weights. Each side lives in a process of its own.
A round times both, one after the other: the fastest of five calls or of two seconds. A ratio is the
median of the rounds' ratios of our time to theirs, under 1 where we are faster. The ratio of memory
is that of the peaks of two fresh processes that do nothing else, with the libraries.
"""

import argparse
import importlib.abc
import importlib.machinery
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np

ROOT = Path(__file__).parents[2]
CLASS = 130
STEPS = 50
# name → what Paddle's side and what timm calls it
NETWORKS = {
    "AlexNet": ("alexnet", None),
    "VGG16": ("vgg16", "vgg16"),
    "ResNet50": ("resnet50", "resnet50"),
    "MobileNetV2": ("mobilenet_v2", "mobilenetv2_100"),
    "EfficientNet-Lite0": ("efficientnet_lite0", "efficientnet_lite0"),
    "PP-LCNet": ("paddleclas:PPLCNet_x1_0", "lcnet_100"),
    "ViT-S/16": ("paddleclas:DeiT_small_patch16_224", "vit_small_patch16_224"),
}
CASES = ("batch 1", "batch 8", f"IG, {STEPS} steps")
# Paddle's side makes its program of a network after this number of images.
WARM = 24


def images_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 224, 224)).astype("float32")


class Helper(type):
    """A class of torchvision that nothing here uses. Its attributes are their own names."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class Helpers(ModuleType):
    __path__: ClassVar[list] = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Helper(name, (), {})


class WithoutTorchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """timm imports torchvision for its data loaders only."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Helpers(spec.name)

    def exec_module(self, module):
        pass


def ours(name: str) -> dict:
    import paddle

    import visualize_pd as vp

    paddle.seed(0)
    network = vp.load_model(NETWORKS[name][0], weights="random").network
    network.eval()
    one, eight = (paddle.to_tensor(images_of(count)) for count in (1, 8))
    return {
        CASES[0]: lambda: vp.gradient(network, one, CLASS).numpy(),
        CASES[1]: lambda: vp.gradient(network, eight, CLASS).numpy(),
        CASES[2]: lambda: vp.integrated_gradients(network, one, CLASS, steps=STEPS).numpy(),
    }


def theirs(name: str) -> dict:
    import torch

    if NETWORKS[name][1] is None:
        from peers import torch_alexnet

        network = torch_alexnet(None)
    else:
        sys.meta_path.append(WithoutTorchvision())
        import timm

        network = timm.create_model(NETWORKS[name][1], num_classes=1000).eval()
        network.requires_grad_(False)
    one, eight = (torch.from_numpy(images_of(count)) for count in (1, 8))

    def gradient(images):
        x = images.clone().requires_grad_()
        return torch.autograd.grad(network(x)[:, CLASS].sum(), x)[0]

    def integrated(size=8):
        nodes, weights = np.polynomial.legendre.leggauss(STEPS)
        total = torch.zeros_like(one)
        for first in range(0, STEPS, size):
            part = slice(first, first + size)
            shares = torch.from_numpy((nodes[part] + 1) / 2).float().reshape(-1, 1, 1, 1)
            factors = torch.from_numpy(weights[part] / 2).float().reshape(-1, 1, 1, 1)
            total += (gradient(shares * one) * factors).sum(0, keepdim=True)
        return (total * one).numpy()

    return {
        CASES[0]: lambda: gradient(one).numpy(),
        CASES[1]: lambda: gradient(eight).numpy(),
        CASES[2]: integrated,
    }


def work(side: str, name: str) -> None:
    """Time the cases that are named on stdin; `memory` and a case gives the peak in MB."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    cases = ours(name) if side == "ours" else theirs(name)
    for line in sys.stdin:
        what, _, case = line.rstrip("\n").partition("\t")
        call = cases[case]
        if what == "memory":
            for _ in range(1 + WARM // 8):
                call()
            print(peak(), file=out, flush=True)
            continue
        if what == "warm":
            for _ in range(1 + WARM // (1 if case == CASES[0] else 8)):
                call()
        times: list[float] = []
        while len(times) < 5 and sum(times) < 2:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        print(min(times), file=out, flush=True)


def peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(found) / 1024


class Side:
    def __init__(self, side: str, name: str, threads: int):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", side, name], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, what: str, case: str) -> float:
        self.process.stdin.write(f"{what}\t{case}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def compare(name: str, rounds: int, threads: int) -> list[str]:
    """The cells of a network: the ratios of times, and that of memory at batch 8."""
    sides = [Side(side, name, threads) for side in ("ours", "theirs")]
    cells = []
    for case in CASES:
        for side in sides:
            side.ask("warm", case)
        ratios = []
        for _ in range(rounds):
            times = []
            for side in sides:
                time.sleep(0.25)  # the other side's threads wait in a loop for a moment
                times.append(side.ask("time", case))
            ratios.append(times[0] / times[1])
        cells.append(f"{statistics.median(ratios):.2f}")
    for side in sides:
        side.end()
    peaks = []
    for kind in ("ours", "theirs"):
        side = Side(kind, name, threads)
        peaks.append(side.ask("memory", CASES[1]))
        side.end()
    return [*cells, f"{peaks[0] / peaks[1]:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    print(f"{options.threads} threads; our time over that of PyTorch; memory at batch 8")
    print("| | " + " | ".join((*CASES, "memory")) + " |")
    print("| --- " * (len(CASES) + 2) + "|")
    for name in options.only:
        cells = compare(name, options.rounds, options.threads)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
