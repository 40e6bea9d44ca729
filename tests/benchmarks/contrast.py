"""Does the map of "a rather than b" point at a? Pictures with an object of each of two classes.

    python tests/benchmarks/contrast.py [--stamps DIR] [--count 50] [--seed 0] [--methods NAME …]

The pictures are those of `stamps.py`, with one object on the left and another on the right. Both
objects are ones that the network names first alone. Prints, for each method, the share of maps of a
and of b whose maximum is on the object of their class, or at most 15 pixels away (Zhang et al.
2016), without a contrast and with it, and the times over one forward pass and input gradient.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image
from stamps import INSTALLED, STAMPS, background, cut_out, mask_of
from tqdm import tqdm

import visualize_pd as vp
from visualize_pd.evaluate import pointing_game

METHODS = ("gradient", "saliency", "grad_times_input", "guided_backprop", "grad_cam", "layer_cam")
METHODS += ("grad_cam_pp", "xgrad_cam", "ablation_cam", "guided_grad_cam", "eigen_grad_cam")
SIDE = 224


def scene(random, stamps):
    """A square picture with two stamps, and the mask of each."""
    picture, masks = background(random, SIDE, SIDE), []
    for half, stamp in enumerate(stamps):
        scale = random.uniform(0.38, 0.48) * SIDE / max(stamp.size)
        stamp = stamp.resize([max(1, round(scale * edge)) for edge in stamp.size])
        left = half * SIDE // 2 + random.integers(0, SIDE // 2 - stamp.width + 1)
        corner = (int(left), int(random.integers(0, SIDE - stamp.height + 1)))
        picture.paste(stamp, corner, stamp)
        mask = Image.new("L", picture.size)
        mask.paste(mask_of(stamp), corner)
        masks.append(np.asarray(mask) > 127)
    return picture, masks


def known(classifier, stamps, random):
    """The stamps whose class the network names first, alone on a calm background."""
    found = {}
    for name, target in STAMPS.items():
        stamp = cut_out(stamps / f"{name}.png")
        picture = background(random, SIDE, SIDE)
        scale = 0.5 * SIDE / max(stamp.size)
        small = stamp.resize([max(1, round(scale * edge)) for edge in stamp.size])
        picture.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2), small)
        if int(classifier.network(classifier.prepare([picture])).argmax()) == target:
            found[target] = stamp
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=Path, default=Path(INSTALLED))
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    asked = parser.parse_args()
    random = np.random.default_rng(asked.seed)
    classifier = vp.load_model("efficientnet_lite0")
    objects = known(classifier, asked.stamps, random)
    scenes = []
    for _ in range(asked.count):
        classes = [int(each) for each in random.choice(list(objects), 2, replace=False)]
        scenes.append((classes, *scene(random, [objects[each] for each in classes])))
    inputs = [classifier.prepare([picture]) for _, picture, _ in scenes]
    bare = seconds(vp.input_gradient, classifier.network, inputs[0], 0)
    print(f"{len(objects)} objects, {2 * len(scenes)} targets\n")
    print("| method | points at a | a rather than b | time | time with a contrast |")
    print("| --- | --- | --- | --- | --- |")
    for name in asked.methods:
        hits = {False: [], True: []}
        for images, (classes, _, masks) in tqdm(
            zip(inputs, scenes), name, len(scenes), leave=False
        ):
            for (own, other), mask in zip((classes, classes[::-1]), masks):
                for contrast in hits:
                    score = vp.scores.contrast(other) if contrast else "logit"
                    maps = vp.METHODS[name](classifier.network, images, own, score=score)
                    hits[contrast] += pointing_game(maps.numpy(), [mask], 15).tolist()
        score = vp.scores.contrast(1)
        times = [
            seconds(vp.METHODS[name], classifier.network, inputs[0], 0, score=each) / bare
            for each in ("logit", score)
        ]
        cells = [f"{np.mean(hits[contrast]):.2f}" for contrast in hits]
        print(f"| `{name}` | {' | '.join(cells)} | {times[0]:.2f} | {times[1]:.2f} |", flush=True)


def seconds(function, *arguments, **options):
    """The median time of five calls, after one to warm up."""
    taken = []
    for _ in range(6):
        start = time.perf_counter()
        function(*arguments, **options).numpy()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:]))


if __name__ == "__main__":
    main()
