"""What each method of `METHODS` costs over the bare passes that its mathematics needs.

    python tests/benchmarks/attribution.py [--network alexnet] [--rounds 7] [--only saliency …]
    python tests/benchmarks/attribution.py --network paddleclas:DeiT_tiny_patch16_224 --memory

The floor of a method is that number of bare forwards, or forwards with the input's gradient, of
the same network at the batch size that is fastest here, found first. Every round times floor and
method one after the other; a ratio is the median of the rounds' ratios. Methods run with their
defaults. The peak memory of integrated gradients is read in fresh processes; with `--memory`
that of each method too: the peak of a process with a map, over that with a bare gradient alone.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from functools import partial

import paddle

import visualize_pd as vp
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.layers.feature_maps import capture_blocks, default_feature_maps

BATCHES = (1, 2, 4, 8, 16, 32)
SAMPLES, TARGET = 50, 207
ONE_BY_ONE = {"guided_ig"}  # each pass needs the gradient of the one before
MEMORY = """
import resource, sys, paddle, visualize_pd as vp
network, weights, method, options = sys.argv[1:]
classifier = vp.load_model(network, weights=weights)
image = paddle.randn([1, 3, 224, 224])
options = eval(options)
peaks = []
for run in ["gradient", method]:
    vp.METHODS[run](classifier.network, image, 207, **(options if run == method else {})).numpy()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(*peaks)
"""


class Floor:
    """Bare passes of a network, at the batch size that is fastest for each kind."""

    def __init__(self, network: paddle.nn.Layer, tries: int = 3):
        self.network = network
        self.best = {run: self._best(run, tries) for run in (self.forward, self.gradient)}

    def forward(self, images: paddle.Tensor) -> None:
        with paddle.no_grad():
            self.network(images)[:, TARGET].numpy()

    def gradient(self, images: paddle.Tensor) -> None:
        x = images.detach()
        x.stop_gradient = False
        paddle.grad(self.network(x)[:, TARGET].sum(), x)[0].numpy()

    def seconds(self, run, count: int, one_by_one: bool = False) -> float:
        """Of `count` images through `run` in batches, the last one as large as what is left."""
        size = 1 if one_by_one else min(self.best[run], count)
        sizes = [size] * (count // size) + ([count % size] if count % size else [])
        batches = {each: paddle.randn([each, 3, 224, 224]) for each in set(sizes)}
        return timed(lambda: [run(batches[each]) for each in sizes])

    def _best(self, run, tries: int) -> int:
        costs = {}
        for size in BATCHES:
            images = paddle.randn([size, 3, 224, 224])
            run(images)
            costs[size] = min(timed(lambda: run(images)) for _ in range(tries)) / size  # noqa: B023
        return min(costs, key=costs.get)


def timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def cases(channels: int) -> dict:
    """Method → (options, forwards and gradients that it needs, the goal for its ratio)."""
    with_gradient = """
        gradient saliency grad_times_input guided_backprop deconvnet activation_gradient
        grad_cam grad_cam_pp xgrad_cam layer_cam hires_cam refine_cam eigen_grad_cam full_grad
    """
    windows = 13 * 13  # squares of 45 px every 15 px on 224 px
    return {
        **dict.fromkeys(with_gradient.split(), ({}, 0, 1, 1.10)),
        "eigen_cam": ({}, 1, 0, None),
        "guided_grad_cam": ({}, 0, 2, 1.10),
        "integrated_gradients": ({"steps": SAMPLES}, 2, SAMPLES, 1.10),
        "gradient_shap": ({"samples": SAMPLES}, 1, SAMPLES, 1.10),
        "expected_gradients": (
            {"samples": SAMPLES, "baselines": paddle.randn([8, 3, 224, 224])},
            *(1, SAMPLES, 1.10),
        ),
        "guided_ig": ({"steps": SAMPLES}, 2, SAMPLES + 1, 1.10),
        "blur_ig": ({"steps": SAMPLES}, 2, SAMPLES, 1.10),
        "smooth_grad": ({"samples": SAMPLES}, 1, SAMPLES, 1.10),
        "lrp": ({}, 1, 1, 1.10),
        "deep_lift": ({}, 1, 2, 1.10),
        "score_cam": ({}, 2 + channels, 0, 1.10),
        "ablation_cam": ({}, 2 + channels, 0, 0.5),
        "occlusion": ({}, 1 + windows, 0, None),
        "rise": ({"masks": channels}, 1 + channels, 0, None),
        "sobol": ({"samples": 4}, 1 + 4 * (8 * 8 + 1), 0, 1.10),
        "hsic": ({"samples": 200}, 1 + 200, 0, 1.10),
        "lime": ({"samples": 200}, 1 + 200, 0, 1.10),
        "kernel_shap": ({"samples": 200}, 2 + 200, 0, 1.10),
        "xrai": ({"steps": SAMPLES}, 4, 2 * SAMPLES, 1.10),
        "attention_rollout": ({}, 1, 0, 1.10),
        "transformer_attribution": ({}, 0, 1, 1.10),
        "legrad": ({}, 2, 0, None),
    }


def live_channels(network: paddle.nn.Layer, image: paddle.Tensor) -> int:
    """Channels of the default layer that are not flat: Score-CAM's and Ablation-CAM's passes."""
    with capture_blocks(network) as blocks:
        passed = record_forward(network, image, layers=network.sublayers())
    maps = default_feature_maps(network, passed, blocks).maps
    return int((maps.max(axis=[2, 3]) > maps.min(axis=[2, 3])).sum())


def peak_memory(network: str, weights: str, method: str, options: dict) -> tuple[int, int]:
    """Peak resident memory in KiB after a bare gradient, and then after a map."""
    values = {
        name: "mean" if isinstance(value, paddle.Tensor) else value
        for name, value in options.items()
    }
    command = [sys.executable, "-c", MEMORY, network, weights, method, repr(values)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    bare, peak = done.stdout.split()[-2:]
    return int(bare), int(peak)


def over_floor(floor: Floor, method: str, image: paddle.Tensor, case: tuple, rounds: int) -> list:
    """The time of a method over that of the passes that it needs, sorted."""
    options, forwards, gradients, _ = case
    ratios = []
    for _ in range(rounds + 1):
        bare = floor.seconds(floor.forward, forwards) if forwards else 0
        if gradients:
            bare += floor.seconds(floor.gradient, gradients, method in ONE_BY_ONE)
        run = partial(vp.METHODS[method], floor.network, image, TARGET, **options)
        ratios.append(timed(lambda: run().numpy()) / bare)  # noqa: B023
    return sorted(ratios[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="alexnet")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", choices=list(vp.METHODS))
    parser.add_argument("--memory", action="store_true", help="also the peak memory of each method")
    arguments = parser.parse_args()

    untrained = arguments.network == "alexnet" or ":" in arguments.network
    weights = "random" if untrained else "auto"
    network = vp.load_model(arguments.network, weights=weights).network
    photograph = vp.load_image("content/images/german_shepherd.jpg")
    image = vp.to_tensor([vp.crop(photograph, size=224, resize=256)])
    floor = Floor(network)
    print(
        f"paddle {paddle.__version__}, {os.cpu_count()} processors, {arguments.rounds} rounds, "
        f"{arguments.network}; best batches: forward {floor.best[floor.forward]}, "
        f"gradient {floor.best[floor.gradient]}"
    )
    heads = f"{'':24}{'passes':>16}{'over floor':>12}{'rounds':>16}{'goal':>9}"
    print(heads + (f"{'peak memory':>14}" if arguments.memory else ""))
    for name, case in cases(live_channels(network, image)).items():
        options, forwards, gradients, goal = case
        if arguments.only and name not in arguments.only:
            continue
        try:
            vp.METHODS[name](network, image, TARGET, **options)
        except vp.VisualizeError as refused:
            print(f"{name:24}refused: {str(refused)[:70]} …")
            continue
        ratios = over_floor(floor, name, image, case, arguments.rounds)
        needs = f"{forwards} fwd + {gradients} grad"
        spread = f"{ratios[0]:.2f}–{ratios[-1]:.2f}"
        target = f"≤ {goal:.2f}" if goal else ""
        line = f"{name:24}{needs:>16}{statistics.median(ratios):12.2f}{spread:>16}{target:>9}"
        if arguments.memory:
            bare, peak = peak_memory(arguments.network, weights, name, options)
            line += f"{peak / bare:14.2f}"
        print(line, flush=True)
    if not arguments.only:
        few, many = (
            peak_memory(arguments.network, weights, "integrated_gradients", {"steps": steps})[1]
            for steps in (50, 500)
        )
        print(f"peak memory of integrated gradients, 500 steps over 50: {many / few:.3f} (≤ 1.10)")


if __name__ == "__main__":
    main()
