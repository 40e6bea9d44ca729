"""Make `attributions.npz`: what Captum and pytorch-grad-cam find on the AlexNet of `make_golden`.

    pip install torch captum==0.9.0 grad-cam==1.5.7
    python tests/golden/make_attributions.py

The stored numbers come from torch 2.13 in float64 (pytorch-grad-cam keeps its maps in float32), and
are sampled. Where a library does something else than the package by its own choice, the generator
changes the library's part, or the test allows for it:

- Captum takes no seed: its NoiseTunnel gets numpy's noise in place of `torch.normal`'s.
- Captum's trapezoid weights sum to 1 − 1/n and not to 1: its result is multiplied by n / (n − 1).
- pytorch-grad-cam has 10⁻⁶ beside g² in Grad-CAM++ and 10⁻⁷ beside ΣA in XGrad-CAM, which count
  where these are small: `weights` scales A so that neither does.
- Its Score-CAM enlarges masks corner to corner: here at half pixels, as all maps are enlarged.
- Its principal components point either way, as the SVD has it: here `aligned` turns them.
- It stretches each map from its minimum to its maximum, 0 to 1, before it enlarges it: a map alone
  is compared after the same, and its range is stored. Averages over layers or views would give each
  map another weight by this: for them maps are enlarged, then divided by their maximum.
- Its Ablation-CAM divides by S_c and not by |S_c|, so that a negative score would turn the map:
  the scores are positive here.
"""

import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
from make_golden import TARGETS, alexnet_weights, batch, torch_alexnet

SCALE = np.float32(2**-7)
EARLIER, SEVERAL = (4,), (4, 11)  # places in `features`; 27 × 27 and 13 × 13
SECOND = slice(1, 2)  # the image for the method that takes longest
FILTER = 5
SAMPLES, NOISE, SEED = 5, 0.15, 3
STEPS = 5


def weights():
    """As in `make_golden`, but for the last feature maps: three in four are zero, to save time.

    The others are smaller, which the next layer makes good: gradients there are 128-fold.
    """
    arrays = alexnet_weights()
    for name in ("features.10.weight", "features.10.bias"):
        arrays[name] = arrays[name] * SCALE
    arrays["features.10.bias"][np.arange(256) % 4 > 0] = -1
    arrays["classifier.1.weight"] = arrays["classifier.1.weight"] / SCALE
    return arrays


def baseline():
    """An image that a path may start from, and that may fill a hidden square."""
    return np.random.default_rng(2).standard_normal((1, 3, 224, 224), dtype="float32") / 2


def sample(maps):
    """Few enough values for a small file, at steps that tell H from W and share no stride."""
    return maps[..., ::11, ::13]


def torch_network():
    """Captum needs each ReLU to be a module of its own."""
    import torch

    network = torch_alexnet()
    network.load_state_dict({name: torch.from_numpy(a) for name, a in weights().items()})
    for part in (network.features, network.classifier):
        for index, layer in enumerate(part):
            if isinstance(layer, torch.nn.ReLU):
                part[index] = torch.nn.ReLU()
    return network.double()


def captum_numbers(network, images):
    import torch
    from captum import attr

    targets, start = list(TARGETS), torch.from_numpy(baseline()).double()
    conv, last = network.features[8], network.features[11]
    scores = {
        "probability": torch.nn.Sequential(network, torch.nn.Softmax(1)),
        "log_probability": torch.nn.Sequential(network, torch.nn.LogSoftmax(1)),
    }

    def gradient(model):
        return attr.Saliency(model).attribute(images, targets, abs=False)

    def integrated(model=network, start=None, method="gausslegendre", **options):
        rule = attr.IntegratedGradients(model)
        return rule.attribute(images, start, targets, n_steps=STEPS, method=method, **options)

    def smoothed(kind):
        drawn = np.random.default_rng(SEED).standard_normal((SAMPLES, 3, 224, 224), dtype="float32")
        noise, tunnel = torch.from_numpy(drawn).double(), attr.NoiseTunnel(attr.Saliency(network))
        with mock.patch("torch.normal", lambda mean, sigma: mean + sigma * noise):
            return torch.cat(
                [
                    tunnel.attribute(
                        image[None],
                        nt_type=kind,
                        nt_samples=SAMPLES,
                        stdevs=NOISE * (image.max() - image.min()).item(),
                        target=target,
                        abs=False,
                    )
                    for image, target in zip(images, targets)
                ]
            )

    def occluded(model=network, start=0):
        windows = {"sliding_window_shapes": (3, 96, 96), "strides": (3, 64, 64)}
        return attr.Occlusion(model).attribute(images, target=targets, baselines=start, **windows)

    yield "gradient", gradient(network)
    yield "saliency", attr.Saliency(network).attribute(images, targets).amax(1, keepdim=True)
    yield "grad_times_input", attr.InputXGradient(network).attribute(images, targets)
    yield "guided_backprop", attr.GuidedBackprop(network).attribute(images, targets)
    yield "deconvnet", attr.Deconvolution(network).attribute(images, targets)
    rule = attr.NeuronGuidedBackprop(network, conv)
    yield "activation_gradient", rule.attribute(images, lambda maps: maps[:, FILTER].sum((1, 2)))
    yield "integrated_gradients", integrated()
    found, gap = integrated(start=start, return_convergence_delta=True)
    yield "integrated_gradients_baseline", found
    yield "integrated_gradients_gap", gap
    yield "integrated_gradients_midpoint", integrated(method="riemann_middle")
    # Not from zeros: at that end of the path all values of a constant image are equal, and which
    # of them a max pooling takes depends on the processor.
    short = integrated(start=start, method="riemann_trapezoid")
    yield "integrated_gradients_trapezoid", short * STEPS / (STEPS - 1)
    for score, model in scores.items():
        yield f"gradient_{score}", gradient(model)
        yield f"integrated_gradients_{score}", integrated(model)
    yield "smooth_grad", smoothed("smoothgrad")
    yield "smooth_grad_squared", smoothed("smoothgrad_sq")
    yield "smooth_grad_variance", smoothed("vargrad")
    rule = attr.GuidedGradCam(network, last)
    yield "guided_grad_cam", rule.attribute(images, targets, interpolate_mode="bilinear")
    yield "occlusion", occluded()[:, :1]
    yield "occlusion_baseline", occluded(start=start)[:, :1]
    yield "occlusion_log_probability", occluded(scores["log_probability"])[:, :1]


def import_grad_cam():
    """pytorch-grad-cam, without torchvision: it imports it, and nothing of that is used here."""
    for name, functions in {
        "torchvision": (),
        "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
        "torchvision.transforms.functional": ("resize",),
    }.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(dict.fromkeys(functions))
    import pytorch_grad_cam

    return pytorch_grad_cam


def enlarged(maps, size):
    """At half pixels, as the library does it."""
    import cv2

    return np.stack([cv2.resize(np.float32(values), size) for values in maps])


def divided(maps, size=None):
    """In place of the library's rescaling: `size` where it enlarges, None for an average."""
    if size:
        maps = enlarged(maps, size)
        maps = maps / maps.max(axis=(1, 2), keepdims=True)
    return maps


def cam_numbers(network, images):
    import torch

    library = import_grad_cam()
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    ranges = []

    def stretched(maps, size=None):
        if size:
            raw = enlarged(maps, size)
            ranges.append(np.stack([raw.min(axis=(1, 2)), raw.max(axis=(1, 2))], axis=1))
        return scale_cam_image(maps, size)

    def aligned(contributions):
        """Where a projection is positive, all channels together are over their mean."""
        total = contributions.sum(axis=1)
        total = total - total.mean(axis=(1, 2), keepdims=True)
        projection = get_2d_projection(contributions)
        return projection * np.sign((projection * total).sum(axis=(1, 2), keepdims=True))

    def explain(method, layers=(11,), scale=stretched, rows=slice(None), **options):
        library.base_cam.scale_cam_image = scale
        places = [network.features[index] for index in layers]
        targets = [ClassifierOutputTarget(target) for target in TARGETS[rows]]
        return getattr(library, method)(network, places)(images[rows], targets, **options)[:, None]

    torch.nn.UpsamplingBilinear2d = partial(torch.nn.Upsample, mode="bilinear")
    for module in (library.base_cam, library.eigen_cam, library.eigen_grad_cam):
        module.get_2d_projection = aligned
    for name, method, options in (
        ("grad_cam", "GradCAM", {}),
        ("grad_cam_pp", "GradCAMPlusPlus", {}),
        ("xgrad_cam", "XGradCAM", {}),
        ("layer_cam", "LayerCAM", {}),
        ("eigen_cam", "EigenCAM", {}),
        ("eigen_grad_cam", "EigenGradCAM", {}),
        ("grad_cam_eigen_smooth", "GradCAM", {"eigen_smooth": True}),
        ("grad_cam_earlier", "GradCAM", {"layers": EARLIER}),
        ("ablation_cam", "AblationCAM", {}),
        ("score_cam", "ScoreCAM", {"rows": SECOND}),
    ):
        yield name, explain(method, **options)
        yield f"{name}_range", ranges.pop()
    yield "grad_cam_layers", explain("GradCAM", layers=SEVERAL, scale=divided)
    yield "grad_cam_aug_smooth", explain("GradCAM", scale=divided, aug_smooth=True)


def main():
    import torch

    network, images = torch_network(), torch.from_numpy(batch()).double()
    kept = {}
    for numbers in (captum_numbers, cam_numbers):
        for name, maps in numbers(network, images):
            maps = maps.detach().numpy() if isinstance(maps, torch.Tensor) else maps
            kept[name] = np.float32(sample(maps) if maps.ndim == 4 else maps)
    np.savez_compressed(Path(__file__).with_name("attributions.npz"), **kept)


if __name__ == "__main__":
    main()
