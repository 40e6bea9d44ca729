"""Make relevance.npz: maps by zennit 0.5.1 and Captum 0.9 of the network of `relevance_network.py`.

    pip install torch captum==0.9.0 zennit==0.5.1
    python tests/golden/make_relevance.py

It reads `weights` and `images` of that file as text, because Paddle need not be installed.
"""

import re
from pathlib import Path

import numpy as np
import torch
from captum.attr import DeepLift
from captum.attr._core import deep_lift
from torch import nn
from zennit.attribution import Gradient
from zennit.canonizers import NamedMergeBatchNorm
from zennit.composites import LayerMapComposite, SpecialFirstLayerMapComposite, layer_map_base
from zennit.layer import Sum
from zennit.rules import AlphaBeta, Epsilon, Flat, Gamma, ZBox, ZPlus
from zennit.types import Convolution, Linear

HERE = Path(__file__).parent
TEXT = (HERE.parent / "helpers/relevance_network.py").read_text(encoding="utf-8")
TEXT = TEXT[: TEXT.index("class Residual")]
TEXT = re.sub(r"^(import paddle|from paddle).*$", "", TEXT, flags=re.MULTILINE)
SHARED = {}
exec(TEXT, SHARED)
TARGETS, LOW, HIGH = [1, 3], -4.0, 4.0


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.left = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.right = nn.Conv2d(6, 6, 1, bias=False)
        self.norm, self.left_norm, self.right_norm = (nn.BatchNorm2d(6) for _ in range(3))
        self.pool, self.average, self.add = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), Sum()
        self.first, self.second, self.third = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.six = nn.ReLU6()
        self.hidden, self.out = nn.Linear(12, 8), nn.Linear(8, 4)
        for name, value in SHARED["weights"]().items():
            layer, part = name.split(".")
            part = {"mean": "running_mean", "variance": "running_var"}.get(part, part)
            getattr(getattr(self, layer), part).data[:] = torch.tensor(value)

    def forward(self, batch):
        stem = self.pool(self.first(self.norm(self.conv(batch))))
        left = self.six(self.left_norm(self.left(stem)))
        right = self.right_norm(self.right(left))
        block = self.second(self.add(torch.stack([stem, right], -1)))
        pooled = self.average(torch.cat([block, left], 1)).flatten(1)
        return self.out(self.third(self.hidden(pooled)))


def composites():
    base = layer_map_base()
    merge = [NamedMergeBatchNorm([([conv], norm) for conv, norm in SHARED["PAIRS"].items()])]

    def one(convolution, linear, first=None):
        rules = [*base, (Convolution, convolution), (Linear, linear)]
        if first is None:
            return LayerMapComposite(rules, canonizers=merge)
        return SpecialFirstLayerMapComposite(rules, [(Convolution, first)], canonizers=merge)

    box = ZBox(torch.full((1, 3, 1, 1), LOW), torch.full((1, 3, 1, 1), HIGH))
    yield "epsilon_plus_flat", one(ZPlus(), Epsilon(1e-6), Flat())
    yield "epsilon_plus", one(ZPlus(), Epsilon(1e-6))
    yield "epsilon_gamma_box", one(Gamma(0.25), Epsilon(1e-6), box)
    yield "epsilon_alpha_beta_flat", one(AlphaBeta(2, 1), Epsilon(1e-6), Flat())
    yield "epsilon", one(Epsilon(0.25), Epsilon(0.25))
    yield "gamma", one(Gamma(0.5), Gamma(0.5))
    yield "alpha_beta", one(AlphaBeta(3, 2), AlphaBeta(3, 2))
    yield "z_plus", one(ZPlus(), ZPlus())


def main():
    network = Residual().eval()
    images = torch.tensor(SHARED["images"]())
    found = {"logits": network(images).detach().numpy()}
    for name, composite in composites():
        chosen = network(images).detach() * torch.eye(4)[TARGETS]
        with Gradient(network, composite) as attributor:
            _, relevance = attributor(images.clone().requires_grad_(), chosen)
        found[name] = relevance.numpy()
    network.pool = nn.AvgPool2d(2)  # Captum's maxima differ from the definition
    deep_lift.SUPPORTED_NON_LINEAR[nn.ReLU6] = deep_lift.nonlinear  # Captum leaves it out
    for name, start in (("zero", torch.zeros_like(images)), ("tensor", images.flip(2) / 2)):
        found[f"deep_lift_{name}"] = (
            DeepLift(network).attribute(images, start, target=TARGETS).detach().numpy()
        )
    np.savez_compressed(HERE / "relevance.npz", **found)
    for name, value in found.items():
        print(name, value.shape, value.reshape(2, -1).sum(1))


if __name__ == "__main__":
    main()
