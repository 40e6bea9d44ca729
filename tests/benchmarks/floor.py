"""How far a pass is from what the processor's arithmetic allows, and where its time goes.

    python tests/benchmarks/floor.py [--rounds 9] [--batch 1 8] [--layers 12]

The floor of a layer is the longer of two times: its multiplications and additions at the measured
rate of a large matrix product, and its weights at the measured rate of reading memory. Backwards
the input's gradient takes the operations of the forward pass once more. A layer's own time is that
of the layer alone on the input that it gets in the network. Above the table stands the whole
network as Paddle runs it, and as this package does: forwards compiled, with gradients by its quick
layers.
"""

import argparse
import statistics
import time
from collections import defaultdict

import numpy as np
import paddle

from visualize_pd import load_model
from visualize_pd.network.fast.layers import fast_layers
from visualize_pd.network.fast.whole import forward as engine
from visualize_pd.network.hooks import frozen

NETWORKS = ("alexnet", "efficientnet_lite0")


def median_seconds(call, rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measured_rates(rounds: int) -> tuple[float, float]:
    """Operations a second of a matrix product, and bytes a second of a matrix times a vector."""
    a, b = paddle.randn([1536, 1536]), paddle.randn([1536, 1536])
    product = median_seconds(lambda: paddle.matmul(a, b).numpy(), rounds)
    tall, vector = paddle.randn([8192, 8192]), paddle.randn([8192, 1])
    reading = median_seconds(lambda: paddle.matmul(tall, vector).numpy(), rounds)
    return 2 * 1536**3 / product, 4 * 8192**2 / reading


def operations(layer, inputs, output) -> int:
    """Multiplications and additions of a forward pass."""
    if isinstance(layer, paddle.nn.Conv2D):
        return 2 * int(np.prod(output.shape)) * int(np.prod(layer.weight.shape[1:]))
    if isinstance(layer, paddle.nn.Linear):
        return 2 * int(np.prod(output.shape)) * layer.weight.shape[0]
    return 0


def leaves(network, image):
    """Each call of a layer without sublayers: `(layer, its input, its output)`, in their order."""
    calls, handles = [], []
    for layer in network.sublayers():
        if not layer.sublayers():
            note = lambda layer, inputs, output: calls.append((layer, inputs[0], output))  # noqa: E731
            handles.append(layer.register_forward_post_hook(note))
    network(image)
    for handle in handles:
        handle.remove()
    return calls


def passes(network, image):
    """The forward pass, and that with the gradient of its input, as calls without arguments."""

    def forward():
        with paddle.no_grad():
            network(image).numpy()

    def both():
        x = image.detach()
        x.stop_gradient = False
        paddle.grad(network(x).sum(), x)[0].numpy()

    return forward, both


def kind_of(layer, image) -> str:
    if isinstance(layer, paddle.nn.Conv2D):
        shape = "×".join(map(str, layer.weight.shape[2:]))
        depthwise = layer.weight.shape[1] == 1 and image.shape[1] > 1
        return f"Conv2D {shape}{' depthwise' if depthwise else ''}"
    return type(layer).__name__


def report(name: str, batch: int, rounds: int, shown: int, rates: tuple[float, float]) -> None:
    network = load_model(name, weights="random").network
    image = paddle.randn([batch, 3, 224, 224])
    with frozen(network):
        calls = leaves(network, image)
        whole = [median_seconds(call, rounds) for call in passes(network, image)]
        with fast_layers():
            gradient = median_seconds(passes(network, image)[1], rounds)
        compiled = engine._compile(network, image.shape)[1].run
        ours = [median_seconds(lambda: compiled(image).numpy(), rounds), gradient]
        rows = []
        for layer, given, output in calls:
            weights = sum(p.size for p in layer.parameters()) * 4
            floor = max(operations(layer, given, output) / rates[0], weights / rates[1])
            times = [median_seconds(call, max(3, rounds // 3)) for call in passes(layer, given)]
            rows.append((kind_of(layer, given), list(given.shape), floor, *times))
    floor = sum(row[2] for row in rows)
    print(f"\n{name}, batch {batch}, over the floor:")
    for title, (forward, both) in (("Paddle", whole), ("this package", ours)):
        print(f"    {title:12} forward {forward / floor:5.2f}, ", end="")
        print(f"forward + input gradient {both / (2 * floor):5.2f}")
    by_kind = defaultdict(lambda: np.zeros(4))
    for kind, _, *numbers in rows:
        by_kind[kind] += [1, *numbers]
    print(f"{'':26} {'calls':>5} {'forward':>8} {'of floor':>8} {'both':>8} {'of floor':>8}")
    total = [sum(row[3] for row in rows), sum(row[4] for row in rows)]
    for kind, (count, least, forward, both) in sorted(by_kind.items(), key=lambda kv: -kv[1][3]):
        ratios = (f"{forward / least:8.2f}", f"{both / 2 / least:8.2f}") if least else ("", "")
        print(
            f"{kind:26} {count:5.0f} {forward / total[0]:8.1%} {ratios[0]:>8} "
            f"{both / total[1]:8.1%} {ratios[1]:>8}"
        )
    rows.sort(key=lambda row: -row[4])
    for kind, shape, least, forward, both in rows[:shown]:
        ratio = f"{both / 2 / least:.2f}" if least else "-"
        share = f"{forward / total[0]:.1%} forward, {both / total[1]:.1%} both"
        print(f"    {kind} of {shape}: {share}, {ratio} of the floor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--layers", type=int, default=8, help="how many of the slowest to show")
    options = parser.parse_args()
    rates = measured_rates(options.rounds)
    print(f"matrix products {rates[0] / 1e9:.0f} G operations/s, memory {rates[1] / 1e9:.1f} GB/s")
    for name in NETWORKS:
        for batch in options.batch:
            report(name, batch, options.rounds, options.layers, rates)


if __name__ == "__main__":
    main()
