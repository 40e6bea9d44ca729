"""What was tried to come closer to the floor: each attempt's time over that of what Paddle does.

    python tests/benchmarks/attempts.py [--rounds 15]

Under 1 is faster. Rounds alternate; the ratio is that of the fastest of each. `exact` is the
largest difference over the largest value. "both" is the forward pass and the input's gradient.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional

from visualize_pd import load_model
from visualize_pd.network.fast.layers import fast_layers
from visualize_pd.network.fast.whole import forward as engine
from visualize_pd.network.hooks import frozen

ROUNDS = 15


def both(function, x):
    """The output's sum, differentiated by x."""

    def run():
        given = x.detach()
        given.stop_gradient = False
        return paddle.grad(function(given).sum(), given)[0]

    return run


def forward(function, x):
    def run():
        with paddle.no_grad():
            return function(x)

    return run


def compare(what: str, before, after) -> None:
    expected, found = before(), after()
    exact = float((found - expected).abs().max() / expected.abs().max())
    times: tuple[list, list] = ([], [])
    for _ in range(ROUNDS):
        for call, taken in zip((before, after), times):
            start = time.perf_counter()
            call().numpy()
            taken.append(time.perf_counter() - start)
    print(f"{what:66} {min(times[1]) / min(times[0]):5.2f}  exact to {exact:.0e}", flush=True)


def random_layer(*shape, groups=1):
    weight = paddle.randn(shape) / np.prod(shape[1:]) ** 0.5
    return (
        weight,
        lambda stride, padding: (
            lambda x: functional.conv2d(x, weight, None, stride, padding, groups=groups)
        ),
    )


def space_to_depth(batch: int) -> None:
    weight, layer = random_layer(64, 3, 11, 11)
    x = paddle.randn([batch, 3, 224, 224])
    cut = functional.pad(weight, [0, 1, 0, 1])
    cut = functional.pixel_unshuffle(cut, 4)

    def other(x):
        return functional.conv2d(functional.pixel_unshuffle(functional.pad(x, [2] * 4), 4), cut)

    for kind in (forward, both):
        name = f"AlexNet's 11×11 as space-to-depth and 3×3, batch {batch}, {kind.__name__}"
        compare(name, kind(layer(4, 2), x), kind(other, x))


def matrix_products(batch: int) -> None:
    weight, layer = random_layer(384, 192, 3, 3)
    x, flat = paddle.randn([batch, 192, 13, 13]), weight.reshape([384, -1])

    def other(x):
        columns = functional.unfold(x, 3, 1, 1)
        return paddle.matmul(flat, columns).reshape([batch, 384, 13, 13])

    for kind in (forward, both):
        name = f"AlexNet's 3×3 as columns and one matrix product, batch {batch}, {kind.__name__}"
        compare(name, kind(layer(1, 1), x), kind(other, x))


def turned_kernels(batch: int) -> None:
    for inputs, outputs, side, kernel in ((192, 384, 13, 3), (64, 192, 27, 5)):
        weight, layer = random_layer(outputs, inputs, kernel, kernel)
        x = paddle.randn([batch, inputs, side, side])
        turned = paddle.flip(weight.transpose([1, 0, 2, 3]), [2, 3])
        slopes = paddle.ones([batch, outputs, side, side])
        x.stop_gradient = False
        y = layer(1, kernel // 2)(x)
        name = f"gradient of a dense {kernel}×{kernel} as a convolution, batch {batch}"
        compare(
            name,
            lambda y=y, x=x: paddle.grad(y.sum(), x, retain_graph=True)[0],
            lambda s=slopes, t=turned, k=kernel: functional.conv2d(s, t, None, 1, k // 2),
        )


def channels_last(batch: int) -> None:
    weight, layer = random_layer(384, 192, 3, 3)
    x = paddle.randn([batch, 192, 13, 13])
    last = x.transpose([0, 2, 3, 1])

    def other(x):
        return functional.conv2d(x, weight, None, 1, 1, data_format="NHWC")

    for kind in (forward, both):
        after = kind(other, last)
        name = f"AlexNet's 3×3 with channels last, batch {batch}, {kind.__name__}"
        compare(name, kind(layer(1, 1), x), lambda after=after: after().transpose([0, 3, 1, 2]))


def depthwise_forms() -> None:
    for channels, side, kernel in ((240, 28, 5), (672, 14, 5), (144, 56, 3)):
        weight, layer = random_layer(channels, 1, kernel, kernel, groups=channels)
        x, pad = paddle.randn([1, channels, side, side]), kernel // 2
        taps = weight.transpose([1, 2, 3, 0]).reshape([kernel, kernel, channels, 1, 1])
        wide = [
            [taps[i, j].expand([channels, side, side]).clone() for j in range(kernel)]
            for i in range(kernel)
        ]
        band = np.zeros((channels, kernel, side + 2 * pad, side), "float32")
        for column in range(side):
            band[:, :, column : column + kernel, column] = weight.numpy()[:, 0]
        band = paddle.to_tensor(band.reshape(channels, -1, side))

        def shifted(x, wide=wide, pad=pad, side=side, kernel=kernel):
            padded = functional.pad(x, [pad] * 4)
            return sum(
                padded[:, :, i : i + side, j : j + side] * wide[i][j]
                for i in range(kernel)
                for j in range(kernel)
            )

        def banded(x, band=band, pad=pad, side=side, kernel=kernel):
            padded = functional.pad(x, [pad] * 4)
            rows = [padded[:, :, i : i + side] for i in range(kernel)]
            return paddle.matmul(paddle.concat(rows, axis=3), band)

        own = layer(1, pad)

        weight.stop_gradient = True
        for kind in (forward, both):
            for name, other in (("shifted products", shifted), ("banded matrices", banded)):
                title = f"depthwise {kernel}×{kernel} of {side}×{side} as {name}, {kind.__name__}"
                compare(title, kind(own, x), kind(other, x))


def kept_layers(batch: int) -> None:
    """What `fast_layers` makes of single layers."""
    cases = {
        "AlexNet's 11×11": (nn.Conv2D(3, 64, 11, 4, 2), [3, 224, 224]),
        "AlexNet's 5×5": (nn.Conv2D(64, 192, 5, padding=2), [64, 27, 27]),
        "AlexNet's 3×3": (nn.Conv2D(192, 384, 3, padding=1), [192, 13, 13]),
        "VGG's 3×3 of 112×112": (nn.Conv2D(64, 128, 3, padding=1), [64, 112, 112]),
        "ResNet's 3×3 of stride 2": (nn.Conv2D(128, 128, 3, 2, 1, bias_attr=False), [128, 56, 56]),
        "a 1×1 of 56×56": (nn.Conv2D(64, 256, 1, bias_attr=False), [64, 56, 56]),
        "AlexNet's first linear layer": (nn.Linear(9216, 4096), [9216]),
        "AlexNet's first max pooling": (nn.MaxPool2D(3, 2), [64, 55, 55]),
    }
    for channels, side, kernel, stride in (
        (240, 28, 5, 1),
        (672, 14, 5, 1),
        (144, 56, 3, 1),
        (96, 112, 3, 2),
    ):
        layer = nn.Conv2D(channels, channels, kernel, stride, kernel // 2, groups=channels)
        cases[f"a depthwise {kernel}×{kernel} of {side}×{side}"] = layer, [channels, side, side]
    for name, (layer, shape) in cases.items():
        x = paddle.randn([batch, *shape])

        def quick(x, layer=layer):
            with fast_layers():
                return layer(x)

        with frozen(layer):
            for kind in (forward, both):
                title = f"{name}, batch {batch}, kept: quick, {kind.__name__}"
                compare(title, kind(layer, x), kind(quick, x))


def folded_norms() -> None:
    """A convolution with its BatchNorm, and the same with weights that hold both."""
    plain = load_model("efficientnet_lite0").network
    folded = load_model("efficientnet_lite0").network
    layers = [layer for layer in folded.sublayers() if not layer.sublayers()]
    for convolution, norm in zip(layers, layers[1:]):
        if isinstance(norm, nn.BatchNorm2D) and isinstance(convolution, nn.Conv2D):
            scale = norm.weight / (norm._variance + norm._epsilon).sqrt()
            convolution.weight.set_value(convolution.weight * scale.reshape([-1, 1, 1, 1]))
            shape = [len(scale)]
            convolution.bias = convolution.create_parameter(shape, is_bias=True)
            convolution.bias.set_value(norm.bias - norm._mean * scale)
            norm.forward = lambda x: x
    x = paddle.randn([1, 3, 224, 224])
    with frozen(plain), frozen(folded):
        for kind in (forward, both):
            name = f"EfficientNet-Lite0 with BatchNorm folded, {kind.__name__}"
            compare(name, kind(plain, x), kind(folded, x))


def compiled(name: str, batch: int) -> None:
    network = load_model(name, weights="random" if name == "alexnet" else "auto").network
    x = paddle.randn([batch, 3, 224, 224])
    with frozen(network), paddle.no_grad():
        static = paddle.jit.to_static(load_model(name, weights="random").network)
        if name != "alexnet":
            static.set_state_dict(network.state_dict())
            static.eval()
            compare(
                f"{name}, batch {batch}: to_static, forward",
                forward(network, x),
                forward(static, x),
            )
        run = engine._compile(network, x.shape)[1].run
        title = f"{name}, batch {batch}, kept: inference engine with oneDNN, forward"
        compare(title, forward(network, x), lambda: run(x))


def batch_sizes(name: str) -> None:
    """Time per image by batch size, over that of batch 1."""
    network = load_model(name, weights="random").network
    best = {}
    with frozen(network):
        for size in (1, 2, 4, 8, 16, 32):
            call, times = both(network, paddle.randn([size, 3, 224, 224])), []
            for _ in range(max(3, ROUNDS // size + 2)):
                start = time.perf_counter()
                call().numpy()
                times.append(time.perf_counter() - start)
            best[size] = min(times) / size
    shares = ", ".join(f"{size}: {seconds / best[1]:.2f}" for size, seconds in best.items())
    print(f"{name}, both, time per image by batch size: {shares}", flush=True)


ALLOCATING = """
import statistics, time, visualize_pd, paddle
network = visualize_pd.load_model("alexnet", weights="random").network
image, times = paddle.randn([{batch}, 3, 224, 224]), []
for _ in range({rounds}):
    start = time.perf_counter()
    visualize_pd.input_gradient(network, image, 3).numpy()
    times.append(time.perf_counter() - start)
print(min(times))
"""


def allocators(batch: int) -> None:
    code = ALLOCATING.format(batch=batch, rounds=ROUNDS)
    settings = {
        "as it is": {},
        "FLAGS_allocator_strategy=naive_best_fit": {"FLAGS_allocator_strategy": "naive_best_fit"},
        "glibc as it comes (memory given back)": {"MALLOC_ARENA_MAX": "8"},
        "FLAGS_use_pinned_memory=0": {"FLAGS_use_pinned_memory": "0"},
    }
    found: dict = {name: [] for name in settings}
    for _ in range(3):
        for name, extra in settings.items():
            clean = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
            done = subprocess.run(
                [sys.executable, "-c", code], env={**clean, **extra},
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[name].append(float(done.stdout.split()[-1]))
    for name, times in found.items():
        ratio = statistics.median(t / own for t, own in zip(times, found["as it is"]))
        print(f"AlexNet, both, batch {batch}: {name:50} {ratio:5.2f}", flush=True)


def main() -> None:
    global ROUNDS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    ROUNDS = parser.parse_args().rounds
    for batch in (1, 8):
        kept_layers(batch)
        space_to_depth(batch)
        matrix_products(batch)
        turned_kernels(batch)
        channels_last(batch)
    depthwise_forms()
    folded_norms()
    for name in ("alexnet", "efficientnet_lite0"):
        for batch in (1, 8):
            compiled(name, batch)
        batch_sizes(name)
    for batch in (1, 8):
        allocators(batch)


if __name__ == "__main__":
    main()
