"""Train a small segmentation network, so that maps can show where its segments come from.

    python -m visualize_pd.app.examples.segmentation
    python method_1_pp.py --config configs/segmentation.yaml

Each picture shows a circle and a square on noise. The network says for each pixel whether it
belongs to the background, the circle or the square. Inside a shape both look alike, so it has to
look at the outline.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from PIL import Image, ImageDraw
from tqdm import tqdm

from ...core.files import write_text
from ...core.images import to_tensor
from .. import drawing
from .saving import save_network

SIDE = 96
NAMES = ("background", "circle", "square")


def small_segmenter(num_classes: int = 3) -> nn.Layer:
    """A network that returns logits `[N, classes, H, W]` for images of any size."""
    widths = (3, 16, 32, 32, 32, 32)
    layers: list[nn.Layer] = []
    for number, (before, after) in enumerate(zip(widths, widths[1:])):
        stride, dilation = (2, 1) if number < 2 else (1, 2 ** (number - 2))
        layers += [
            nn.Conv2D(before, after, 3, stride, padding=dilation, dilation=dilation),
            nn.BatchNorm2D(after),
            nn.ReLU(),
        ]
    upsample = nn.Upsample(scale_factor=4, mode="bilinear")
    return nn.Sequential(*layers, nn.Conv2D(widths[-1], num_classes, 1), upsample)


def draw(random: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """Draw a circle and a square beside each other, and the class of each pixel, `[H, W]`."""
    noise = random.normal(128, 18, (SIDE // 4, SIDE // 4, 3)).clip(0, 255).astype("uint8")
    picture = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    classes = Image.new("L", (SIDE, SIDE))
    order = random.permutation([1, 2]).tolist()
    for place, kind in enumerate(order):
        radius = int(random.integers(12, 19))
        x = int(random.integers(radius + 2, SIDE // 2 - radius + 4)) + place * (SIDE // 2 - 2)
        y = int(random.integers(radius + 2, SIDE - radius - 2))
        corners = (x - radius, y - radius, x + radius, y + radius)
        colour = tuple(random.choice([40, 80, 180, 220], 3).tolist())  # unlike the noise
        for canvas, fill in ((picture, colour), (classes, kind)):
            pen = ImageDraw.Draw(canvas)
            (pen.ellipse if kind == 1 else pen.rectangle)(corners, fill=fill)
    return picture, np.asarray(classes)


def batch_of(count: int, random: np.random.Generator) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Images `[N, 3, H, W]`, and the class of each pixel, `[N, H, W]`."""
    pictures, classes = zip(*(draw(random) for _ in range(count)))
    return to_tensor(pictures), paddle.to_tensor(np.stack(classes).astype("int64"))


def train(steps: int = 120, batch_size: int = 16, seed: int = 0) -> nn.Layer:
    """Train a network to find the circle and the square."""
    paddle.seed(seed)
    random = np.random.default_rng(seed)
    network = small_segmenter()
    optimiser = paddle.optimizer.Adam(3e-3, parameters=network.parameters())
    network.train()
    for _ in tqdm(range(steps), unit="step", desc="training"):
        images, classes = batch_of(batch_size, random)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Paddle's note on BatchNorm
            loss = nn.functional.cross_entropy(network(images), classes, axis=1)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
    network.eval()
    return network


def overlap(network: nn.Layer, count: int = 50, seed: int = 1) -> list[float]:
    """For each class, the intersection over union of its pixels and those that are predicted."""
    images, classes = batch_of(count, np.random.default_rng(seed))
    with paddle.no_grad():
        predicted = network(images).argmax(axis=1).numpy()
    truth = classes.numpy()
    pairs = [(truth == kind, predicted == kind) for kind in range(len(NAMES))]
    return [float((one & other).sum() / (one | other).sum()) for one, other in pairs]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network, and write its weights, its class names and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=120, help="number of training steps")
    options = parser.parse_args(arguments)
    network = train(options.steps)
    for name, share in zip(NAMES, overlap(network)):
        print(f"{name}: overlap {share:.2f}")
    weights, pictures = Path("weights"), Path("images") / "segmentation"
    save_network(network, weights / "segmentation.pdparams")
    write_text(weights / "segmentation.txt", "\n".join(NAMES))
    random = np.random.default_rng(2)
    for number in range(4):
        drawing.save_picture(pictures / f"{number + 1}.png", draw(random)[0])
    print(f"→ {weights / 'segmentation.pdparams'}, {pictures}")


if __name__ == "__main__":
    main()
