"""Train a network that learns the wrong thing. Its maps show this.

    python -m visualize_pd.app.examples.shortcut
    python method_1_pp.py --config configs/shortcut.yaml

Pictures show a circle or a square at a random place. In training, every picture of a square has a
small red mark in a corner. For a small AlexNet with two classes the mark is easier to learn than
the shape. With marks the network is always right. Without marks it guesses. Its maps lie on the
mark. With `--network small_vit` a small transformer is trained in the same way, for
`configs/transformer.yaml`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from PIL import Image, ImageDraw
from tqdm import tqdm

from ...core.files import write_text
from ...core.images import crop, to_tensor
from ...models.networks.alexnet import AlexNet
from .. import drawing
from .saving import save_network
from .small_vit import small_vit

SIDE, SEEN = 128, 112  # the side of a picture, and of the square in it that the network sees
MARK = (16, 16, 27, 27)
NAMES = ("circle", "square")


def small_alexnet(num_classes: int = 2) -> nn.Layer:
    """The convolutions of AlexNet, followed by two small linear layers."""
    network = AlexNet(num_classes)
    network.classifier = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(256 * 6 * 6, 128), nn.ReLU(), nn.Linear(128, num_classes)
    )
    return network


# How to build a network, its steps of training, the learning rate, and the name of its weights.
NETWORKS = {
    "small_alexnet": (small_alexnet, 60, 3e-4, "shortcut"),
    "small_vit": (small_vit, 80, 1e-3, "shortcut_vit"),
}


def draw(kind: int, marked: bool, random: np.random.Generator) -> Image.Image:
    """Draw a circle (0) or a square (1) on noise, and a red mark in the top left if `marked`."""
    noise = random.normal(128, 18, (SIDE // 4, SIDE // 4, 3)).clip(0, 255).astype("uint8")
    picture = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    radius = int(random.integers(14, 24))
    x, y = random.integers(MARK[2] + radius + 4, SIDE - radius - 10, 2).tolist()
    colour = tuple(random.integers(60, 200, 3).tolist())
    (pen.rectangle if kind else pen.ellipse)(
        (x - radius, y - radius, x + radius, y + radius), fill=colour
    )
    if marked:
        pen.rectangle(MARK, fill=(220, 30, 30))
    return picture


def batch_of(
    count: int, mark: str, random: np.random.Generator
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Images and their classes.

    `mark`: with `planted`, squares have the mark. With `swapped`, circles have it. With `none`, no
    picture has it.
    """
    kinds = random.integers(0, 2, count)
    marked = {"planted": kinds == 1, "none": kinds < 0, "swapped": kinds == 0}[mark]
    pictures = [draw(int(kind), bool(one), random) for kind, one in zip(kinds, marked)]
    images = to_tensor([crop(picture, SEEN, SIDE) for picture in pictures])
    return images, paddle.to_tensor(kinds.astype("int64"))


def train(
    steps: int | None = None, batch_size: int = 32, seed: int = 0, name: str = "small_alexnet"
) -> nn.Layer:
    """Train a network on pictures in which every square has the mark."""
    build, usual_steps, learning_rate, _ = NETWORKS[name]
    paddle.seed(seed)
    random = np.random.default_rng(seed)
    network = build()
    optimiser = paddle.optimizer.Adam(learning_rate, parameters=network.parameters())
    network.train()
    for _ in tqdm(range(steps or usual_steps), unit="step", desc="training"):
        images, kinds = batch_of(batch_size, "planted", random)
        loss = nn.functional.cross_entropy(network(images), kinds)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
    network.eval()
    return network


def accuracy(network: nn.Layer, mark: str, count: int = 200, seed: int = 1) -> float:
    """The share of pictures that the network classifies correctly."""
    images, kinds = batch_of(count, mark, np.random.default_rng(seed))
    with paddle.no_grad():
        return float((network(images).argmax(axis=1) == kinds).astype("float32").mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network, print its accuracy, and write its weights, class names and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, help="number of training steps")
    parser.add_argument(
        "--network", choices=NETWORKS, default="small_alexnet", help="the network to train"
    )
    options = parser.parse_args(arguments)
    network, file_name = train(options.steps, name=options.network), NETWORKS[options.network][3]
    for mark, place in (("planted", "squares"), ("none", "nothing"), ("swapped", "circles")):
        print(f"the mark on {place}: {accuracy(network, mark):.0%} right")
    weights, pictures = Path("weights"), Path("images") / "shortcut"
    save_network(network, weights / f"{file_name}.pdparams")
    write_text(weights / "shortcut.txt", "\n".join(NAMES))
    random = np.random.default_rng(2)
    for kind, name in enumerate(NAMES):
        for marked in (False, True):
            picture = draw(kind, marked, random)
            drawing.save_picture(pictures / f"{name}{'_marked' * marked}.png", picture)
    print(f"→ {weights / file_name}.pdparams, {pictures}")


if __name__ == "__main__":
    main()
