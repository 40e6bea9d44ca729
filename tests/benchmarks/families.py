"""Which method works with which family of networks: each cell of the table is run.

    python tests/benchmarks/families.py [--families ConvNeXt …] [--methods grad_cam …]

The networks have random weights, and some have fewer blocks and channels than usual (narrow.py).
In a cell, ✓ says that two images of noise got finite maps which are not constant, and that the
first one gets the same map alone. A dash says that the method has refused the network. Anything
else is a ✗. The sentences and errors are printed as they come. Methods of many passes run with few
of them. PaddleClas has to be installed.
"""

import argparse
import sys
import warnings

import numpy as np
import paddle
from tqdm import tqdm

import visualize_pd as vp
from visualize_pd.core.checks import options_of
from visualize_pd.core.errors import VisualizeError

ZOO = ("alexnet", "vgg11", "resnet18", "resnext50_32x4d", "densenet121", "googlenet")
ZOO += ("inception_v3", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1")
ZOO += ("shufflenet_v2_x0_25",)
FAMILIES = {
    "paddle.vision": ZOO,
    "EfficientNet-Lite": ("efficientnet_lite0",),
    "PP-LCNet": ("paddleclas:PPLCNet_x0_25",),
    "PP-HGNetV2": ("paddleclas:PPHGNetV2_B0",),
    "ResNet_vd": ("paddleclas:ResNet18_vd",),
    "MobileNetV3": ("paddleclas:MobileNetV3_small_x0_35",),
    "ConvNeXt": ("narrow:convnext",),
    "Swin": ("narrow:swin",),
    "ViT": ("narrow:vit",),
    "DeiT": ("paddleclas:DeiT_tiny_patch16_224",),
    "CLIP": ("narrow:clip",),
}
# Options that make a method quick, wherever it has them.
FEW = {"steps": 2, "samples": 2, "masks": 8, "draws": 1, "cells": 2, "size": 112, "stride": 112}
FEW |= {"baselines": "mean"}
FEW |= {"segments": "grid", "scales": 1, "relu": False}
TOLERANCE = 1e-3  # of the largest value


def cell(method, network, images):
    """✓, or the error as a sentence."""
    known = options_of(method)
    options = {name: value for name, value in FEW.items() if name in known}
    try:
        both = method(network, images, 3, **options).numpy()
        alone = method(network, images[:1], 3, **options).numpy()
    except VisualizeError as error:
        return f"– {error}"
    except Exception as error:
        return f"✗ {type(error).__name__}: {str(error).strip().splitlines()[-1][:200]}"
    if not np.isfinite(both).all() or not np.ptp(both, axis=(1, 2, 3)).all():
        return "✗ the map is constant or not finite"
    if np.abs(both[:1] - alone).max() > TOLERANCE * np.abs(alone).max():
        return "✗ the map of a batch is not that of a single image"
    return "✓"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--methods", nargs="*", default=list(vp.METHODS))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    for family in asked.families:
        for name in FAMILIES[family]:
            paddle.seed(0)
            classes = None if name.startswith("narrow:") else 10
            classifier = vp.load_model(name, weights="random", num_classes=classes)
            paddle.seed(1)
            images = paddle.randn([2, 3, classifier.image_size, classifier.image_size])
            for method in tqdm(asked.methods, name, leave=False, disable=None):
                told = cell(vp.METHODS[method], classifier.network, images)
                if told != "✓":
                    print(f"{family}, {name}, {method}: {told}", file=sys.stderr, flush=True)
                before = found.get((method, family), "✓")
                found[method, family] = before if told == "✓" else told
    print("| method | " + " | ".join(asked.families) + " |")
    print("| --- |" + " --- |" * len(asked.families))
    for method in asked.methods:
        cells = (found[method, family][0] for family in asked.families)
        print(f"| `{method}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
