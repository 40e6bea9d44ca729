"""What the methods cost over the bare pass on this machine's GPU, as a table to paste.

    python tests/benchmarks/gpu.py [--rounds 5] [--batches 1 8 32] [--quick]
    VISUALIZE_PD_JIT=1 python tests/benchmarks/gpu.py      the same, with paddle.jit

Without a GPU it measures the CPU, and says so. Each time is the median of some rounds after a
warm-up, and the device has done all its work before the clock is read. The networks have random
weights, except for EfficientNet-Lite0 if its weights are there. Nothing is downloaded.
"""

import argparse
import logging
import os
import platform
import resource
import shutil
import statistics
import subprocess
import time
from contextlib import suppress
from itertools import islice

import visualize_pd as vp  # isort: skip  (it sets up Paddle)
import paddle

from visualize_pd.core import runtime
from visualize_pd.network.gradients import input_gradient, record_forward
from visualize_pd.network.layers.feature_maps import capture_blocks, default_feature_maps

NETWORKS = ("alexnet", "efficientnet_lite0", "resnet50")
TARGET, STEPS, MASKS = 207, 50, 256


def networks(quick: bool) -> list[str]:
    return ["efficientnet_lite0"] if quick else list(NETWORKS)


def loaded(name: str) -> paddle.nn.Layer:
    """A frozen network. Its weights are random, except for those that a package has."""
    network = None
    if name == "efficientnet_lite0":
        with suppress(vp.VisualizeError):
            network = vp.load_model(name).network
    network = network or vp.load_model(name, weights="random").network
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    return network


def wait() -> None:
    """Until the device has done all its work."""
    if paddle.get_device().startswith("gpu"):
        paddle.device.synchronize()


def seconds(run, rounds: int) -> float:
    """The median time of a call, after two calls that are not timed."""
    times = []
    for number in range(rounds + 2):
        wait()
        start = time.perf_counter()
        run()
        wait()
        if number > 1:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory() -> float:
    """GB: of the GPU since `forget_peak`, or of the whole process on a CPU."""
    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def forget_peak() -> None:
    reset = getattr(paddle.device.cuda, "reset_max_memory_allocated", None)  # Paddle 3
    if reset and paddle.get_device().startswith("gpu"):
        reset()


def bare(network: paddle.nn.Layer, images: paddle.Tensor) -> paddle.Tensor:
    """A forward pass and the gradient of the images, by Paddle alone."""
    x = images.detach()
    x.stop_gradient = False
    return paddle.grad(network(x)[:, TARGET].sum(), x)[0]


def class_image_steps(network: paddle.nn.Layer, count: int, steps: int):
    """A function that does further steps of an ascent on `count` images at once."""
    frames = vp.class_image(
        network, [TARGET] * count, iterations=10**9, init=vp.noise((count, 3, 224, 224))
    )
    return lambda: list(islice(frames, steps))


def cases(network: paddle.nn.Layer, images: paddle.Tensor, quick: bool) -> dict:
    """The calls to time, and the passes that each of them needs."""
    few = 5 if quick else STEPS
    masks = 8 if quick else MASKS
    count = len(images)
    found = {
        "input_gradient": (lambda: input_gradient(network, images, TARGET), 1),
        "saliency": (lambda: vp.saliency(network, images, TARGET), 1),
        "grad_cam": (lambda: vp.grad_cam(network, images, TARGET), 1),
        f"integrated_gradients, {few} steps": (
            lambda: vp.integrated_gradients(network, images, TARGET, steps=few), few),
        f"smooth_grad, {few} samples": (
            lambda: vp.smooth_grad(network, images, TARGET, samples=few), few),
        f"rise, {masks} masks": (
            lambda: vp.rise(network, images, TARGET, masks=masks), masks),
        f"class_image, {few} steps": (class_image_steps(network, count, few), few),
    }  # fmt: skip
    if not quick:
        channels = channels_of(network, images[:1])
        found["score_cam"] = (lambda: vp.score_cam(network, images, TARGET), channels)
    return found


def channels_of(network: paddle.nn.Layer, image: paddle.Tensor) -> int:
    """The channels of the default layer of a CAM: Score-CAM does a pass for each."""
    with capture_blocks(network) as blocks:
        passed = record_forward(network, image, TARGET, layers=network.sublayers())
    return default_feature_maps(network, passed, blocks).maps.shape[1]


def measured(name: str, batches: list[int], rounds: int, quick: bool) -> None:
    """Print the rows of a network."""
    network = loaded(name)
    for count in batches:
        paddle.seed(0)
        images = paddle.randn([count, 3, 224, 224])
        forget_peak()
        try:
            floor = seconds(lambda: bare(network, images), rounds)  # noqa: B023
            row(name, count, "bare pass with gradient", 1, floor, floor)
            for what, (run, passes) in cases(network, images, quick).items():
                forget_peak()
                row(name, count, what, passes, seconds(run, rounds), floor)
        except (MemoryError, RuntimeError, SystemError) as error:  # the GPU's memory is too small
            reason = str(error).strip().splitlines()[-1:]
            print(f"| {name} | {count} | stopped: {type(error).__name__} {reason} | | | | | |")


def row(name: str, count: int, what: str, passes: int, taken: float, floor: float) -> None:
    over = taken / floor / passes
    numbers = f"{passes} | {taken * 1e3:.1f} | {over:.2f} | {passes / taken:.1f}"
    print(f"| {name} | {count} | {what} | {numbers} | {peak_memory():.2f} |", flush=True)


def facts() -> list[str]:
    """The device and the versions."""
    device = runtime.use_device("auto")
    told = [f"visualize_pd {vp.__version__}, Paddle {paddle.__version__}"]
    told.append(f"Python {platform.python_version()}, {platform.platform()}")
    if device == "cpu":
        told.append(f"**measured on the CPU**: no GPU was found; {os.cpu_count()} processors")
        return told
    card = paddle.device.cuda.get_device_properties()
    told.append(
        f"{paddle.device.cuda.get_device_name()}, {card.total_memory / 1e9:.1f} GB, compute "
        f"capability {card.major}.{card.minor}, {card.multi_processor_count} multiprocessors"
    )
    told.append(f"CUDA {paddle.version.cuda()}, cuDNN {paddle.version.cudnn()}")
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm"]
        done = subprocess.run([*query, "--format=csv,noheader"], capture_output=True, text=True)
        told.append(f"driver, power limit, highest clock: {done.stdout.strip()}")
    told.append(f"paddle.jit: {'on' if os.environ.get('VISUALIZE_PD_JIT') == '1' else 'off'}")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--quick", action="store_true", help="one network, few steps: a trial")
    options = parser.parse_args()
    logging.getLogger("visualize_pd").setLevel(logging.ERROR)  # of the sums of maps
    if options.quick:
        options.rounds, options.batches = 1, options.batches[:1]
    print("\n".join(f"- {fact}" for fact in facts()))
    on_gpu = paddle.get_device().startswith("gpu")
    memory = "peak GB" if on_gpu else "peak GB so far"
    print(
        "\nPasses are forward and backward, but for rise and score_cam. For class_image they are "
        "steps.\n\n"
        f"| network | batch | call | passes | ms | over bare passes | passes/s | {memory} |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for name in networks(options.quick):
        measured(name, options.batches, options.rounds, options.quick)


if __name__ == "__main__":
    main()
