"""What each public call costs over the bare passes of the same network, in the same run.

    python tests/benchmarks/overhead.py [--rounds 15]

AlexNet with random weights, batch 1. Every round times each case once, one after the other, so
that a machine whose speed drifts slows all of them; a ratio is the median of the rounds' ratios.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

CHILD = """
import statistics, time
import paddle
paddle.seed(0)
network = paddle.vision.models.alexnet(); network.eval()
for p in network.parameters(): p.stop_gradient = True
image = paddle.randn([1, 3, 224, 224])
times = []
for _ in range({rounds} + 3):
    start = time.perf_counter()
    x = image.detach(); x.stop_gradient = False
    paddle.grad(network(x)[:, 3].sum(), x)[0].numpy()
    times.append(time.perf_counter() - start)
print(statistics.median(times[3:]))
"""
TARGETS = {
    "saliency()": 1.05,
    "class image, L2: one iteration": 1.10,
    "class image, shifts and TV: one iteration": 1.20,
    "class image, Fourier and all on: one iteration": 1.25,
    "mixed classes: one iteration": 1.10,
    "filter: one iteration": 1.10,
    "dream: one iteration": 1.10,
    "inversion, no priors: one iteration": 1.10,
    "one figure, drawn and saved": 1.5,
}


def child_process(rounds: int) -> float:
    """The bare passes where nothing of this package has settled threads or paths.

    On Paddle's own AlexNet, whose layers have the same shapes.
    """
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment.pop("MKL_DEBUG_CPU_TYPE", None)
    code = CHILD.format(rounds=rounds)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def import_ratio(rounds: int = 7) -> float:
    """Importing the package over importing Paddle, each in a fresh process."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}

    def seconds(module: str) -> float:
        start = time.perf_counter()
        command = [sys.executable, "-c", f"import {module}"]
        subprocess.run(command, env=environment, capture_output=True, check=True)
        return time.perf_counter() - start

    pairs = [(seconds("paddle"), seconds("visualize_pd")) for _ in range(rounds)]
    return statistics.median(ours / paddles for paddles, ours in pairs[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    as_shipped, importing = child_process(rounds), import_ratio()

    import numpy as np
    import paddle

    from visualize_pd import class_image, load_model, noise, render, saliency
    from visualize_pd.synthesis import objectives
    from visualize_pd.synthesis.ascent import ascend
    from visualize_pd.synthesis.parametrisations import Fourier, Pixels

    classifier = load_model("alexnet", weights="random")
    network = classifier.network
    image = paddle.randn([1, 3, 224, 224])

    def bare():
        x = image.detach()
        x.stop_gradient = False
        (gradient,) = paddle.grad(network(x)[:, 3].sum(), x)
        return gradient.numpy()

    endless = {"iterations": 10**9, "init": noise((1, 3, 224, 224))}
    plain = class_image(network, 3, shift=0, total_variation=0, **endless)
    with_priors = class_image(network, 3, **endless)
    views = {"rotation": 15, "zoom": (0.7, 1.3), "cooling": 0.5}
    everything = class_image(network, 3, **views, **{**endless, "parametrisation": Fourier})

    def one_by_one(objective):
        canvas = Pixels(endless["init"])
        return ascend(network, objective, canvas, iterations=10**9)

    mixed = one_by_one(objectives.mixed_score({3: 1.0, 5: 0.5}))
    filtered = one_by_one(objectives.filter_response("features.10", 42))
    dream = one_by_one(objectives.layer_energy("features.10"))
    inverted = one_by_one(objectives.feature_similarity(network, "classifier.5", image))
    gradient = bare()[0]
    picture = classifier.to_pixels(image)[0]

    def figure():
        reduced = np.abs(gradient).max(0, keepdims=True)
        panels = render.map_panels(picture, gradient, reduced, ("by channel", "max"))
        render.save_picture(
            f"{folder}/figure.jpg", render.figure([("", panels)], "caption", "note")
        )

    cases = {
        "bare forward + paddle.grad": bare,
        "saliency()": lambda: saliency(network, image, 3).numpy(),
        "class image, L2: one iteration": lambda: next(plain),
        "class image, shifts and TV: one iteration": lambda: next(with_priors),
        "class image, Fourier and all on: one iteration": lambda: next(everything),
        "mixed classes: one iteration": lambda: next(mixed),
        "filter: one iteration": lambda: next(filtered),
        "dream: one iteration": lambda: next(dream),
        "inversion, no priors: one iteration": lambda: next(inverted),
        "one figure, drawn and saved": figure,
    }
    times = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(rounds + 3):
            for name, case in cases.items():
                start = time.perf_counter()
                case()
                if round_number >= 3:
                    times[name].append(time.perf_counter() - start)

    floor = times["bare forward + paddle.grad"]
    print(f"paddle {paddle.__version__}, {os.cpu_count()} processors, {rounds} rounds, AlexNet")
    print(f"{'':48}{'median':>10}{'over bare':>11}{'target':>9}")
    for name, values in times.items():
        ratio = statistics.median(value / base for value, base in zip(values, floor))
        target = f"≤ {TARGETS[name]:.2f}" if name in TARGETS else ""
        print(f"{name:48}{statistics.median(values) * 1e3:7.1f} ms{ratio:11.2f}{target:>9}")
    ratio = as_shipped / statistics.median(floor)
    print(f"{'bare, as Paddle ships it':48}{as_shipped * 1e3:7.1f} ms{ratio:11.2f}")
    print(f"importing visualize_pd over importing paddle{'':14}{importing:11.2f}{'≤ 1.10':>9}")


if __name__ == "__main__":
    main()
