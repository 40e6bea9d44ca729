"""Side by side with PyTorch's tools: the same AlexNet, the same weights, the same threads.

    pip install torch captum grad-cam
    python tests/benchmarks/peers.py [--rounds 7] [--threads 2]

Each side lives in a process of its own. A round times each case on either side, one after the
other, the fastest of five calls or of two seconds; a ratio is the median of the rounds' ratios of
our time to theirs, under 1 where we are faster. First it is checked that both sides give the same
numbers, but for the gates of a few ReLUs that rounding opens or shuts. What is not installed is
left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
CLASS = 130
# case → what the other side uses for it
CASES = {
    "saliency, batch 1": ("plain", "captum"),
    "saliency, batch 8": ("plain", "captum"),
    "integrated gradients, 50 steps": ("captum",),
    "SmoothGrad, 50 samples": ("captum",),
    "Grad-CAM": ("grad-cam", "captum"),
    "Score-CAM": ("grad-cam",),
    "Ablation-CAM": ("grad-cam",),
    "class image, one iteration": ("plain",),
}
SAME = [case for case in CASES if case.startswith(("saliency", "integrated", "Grad-CAM"))]


def ours(weights: str) -> dict:
    import paddle

    import visualize_pd as vp

    network = vp.AlexNet()
    with np.load(weights) as arrays:
        network.set_state_dict({name: paddle.to_tensor(arrays[name]) for name in arrays.files})
    network.eval()
    one, eight = (paddle.to_tensor(images_of(count)) for count in (1, 8))
    frames = vp.class_image(
        network,
        CLASS,
        iterations=10**9,
        shift=0,
        total_variation=0,
        init=vp.noise((1, 3, 224, 224)),
    )
    return {
        "saliency, batch 1": lambda: vp.saliency(network, one, CLASS).numpy(),
        "saliency, batch 8": lambda: vp.saliency(network, eight, CLASS).numpy(),
        "integrated gradients, 50 steps": lambda: vp.integrated_gradients(
            network, one, CLASS, steps=50
        ).numpy(),
        "SmoothGrad, 50 samples": lambda: vp.smooth_grad(network, one, CLASS, samples=50).numpy(),
        "Grad-CAM": lambda: vp.grad_cam(network, one, CLASS).numpy(),
        "Score-CAM": lambda: vp.score_cam(network, one, CLASS).numpy(),
        "Ablation-CAM": lambda: vp.ablation_cam(network, one, CLASS).numpy(),
        "class image, one iteration": lambda: next(frames).image.numpy(),
    }


def torch_alexnet(weights: str | None):
    import torch
    from torch import nn

    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(True), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(True)),
        *(nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(True)),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(True), nn.MaxPool2d(3, 2)),
    )
    classifier = nn.Sequential(
        *(nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(True)),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True), nn.Linear(4096, 1000)),
    )

    class AlexNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.classifier = features, classifier
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))

        def forward(self, images):
            return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))

    network = AlexNet().eval().requires_grad_(False)
    if weights is None:
        return network
    with np.load(weights) as arrays:
        state = {name: arrays[name] for name in arrays.files}
    linear = {name: value.T for name, value in state.items() if value.ndim == 2}
    tensors = {k: torch.from_numpy(v.copy()) for k, v in {**state, **linear}.items()}
    network.load_state_dict(tensors)
    return network


def theirs(weights: str) -> dict:
    import torch

    network = torch_alexnet(weights)
    one, eight = (torch.from_numpy(images_of(count)) for count in (1, 8))

    def gradient(images):
        x = images.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(x)[:, CLASS].sum(), x)
        return slope.abs().amax(1, keepdim=True).numpy()

    image = (0.01 * torch.randn(1, 3, 224, 224)).requires_grad_()
    adam = torch.optim.Adam([image], lr=0.1)

    def iteration():
        adam.zero_grad()
        (1e-3 * image.square().sum() - network(image)[0, CLASS]).backward()
        adam.step()
        return image.detach().numpy()

    cases = {
        ("saliency, batch 1", "plain"): lambda: gradient(one),
        ("saliency, batch 8", "plain"): lambda: gradient(eight),
        ("class image, one iteration", "plain"): iteration,
    }
    return {
        **cases,
        **captum_cases(network, one, eight),
        **grad_cam_cases(torch_alexnet(weights), one),
    }


def captum_cases(network, one, eight) -> dict:
    try:
        from captum import attr
    except ImportError:
        return {}

    def maps(images):
        slopes = attr.Saliency(network).attribute(images.clone().requires_grad_(), CLASS)
        return slopes.amax(1, keepdim=True).detach().numpy()

    def smooth_grad():
        tunnel = attr.NoiseTunnel(attr.Saliency(network))
        noisy = one.clone().requires_grad_()
        return tunnel.attribute(noisy, nt_samples=50, stdevs=0.6, target=CLASS).detach().numpy()

    def grad_cam():
        cam = attr.LayerGradCam(network, network.features[11])
        coarse = cam.attribute(one.clone().requires_grad_(), CLASS, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, (224, 224), "bilinear").detach().numpy()

    integrated = attr.IntegratedGradients(network)
    return {
        ("saliency, batch 1", "captum"): lambda: maps(one),
        ("saliency, batch 8", "captum"): lambda: maps(eight),
        ("integrated gradients, 50 steps", "captum"): lambda: (
            integrated.attribute(one, target=CLASS, n_steps=50).detach().numpy()
        ),
        ("SmoothGrad, 50 samples", "captum"): smooth_grad,
        ("Grad-CAM", "captum"): grad_cam,
    }


def grad_cam_cases(network, one) -> dict:
    from types import ModuleType

    try:
        import torchvision  # noqa: F401
    except ImportError:  # it is imported for helpers that are not used here
        for name in ("", ".transforms", ".transforms.functional"):
            module = sys.modules[f"torchvision{name}"] = ModuleType(f"torchvision{name}")
            module.__path__ = []
            for helper in ("Compose", "Normalize", "ToTensor", "resize"):
                setattr(module, helper, None)
    try:
        from pytorch_grad_cam import AblationCAM, GradCAM, ScoreCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        return {}
    network.requires_grad_(True)  # it finds no gradient otherwise
    cams = {"Grad-CAM": GradCAM, "Score-CAM": ScoreCAM, "Ablation-CAM": AblationCAM}
    target = [ClassifierOutputTarget(CLASS)]

    def case(kind):
        cam = kind(model=network, target_layers=[network.features[11]])
        return lambda: cam(input_tensor=one.clone(), targets=target)

    return {(name, "grad-cam"): case(kind) for name, kind in cams.items()}


def images_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 224, 224)).astype("float32")


def work(side: str, weights: str) -> None:
    """Time the cases that are named on stdin; a case's numbers go to a file that is named too."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    cases = ours(weights) if side == "ours" else theirs(weights)
    for line in sys.stdin:
        name, _, rest = line.rstrip("\n").partition("\t")
        peer, _, path = rest.partition("\t")
        call = cases.get(name if side == "ours" else (name, peer))
        seconds = float("nan")
        if call:
            times: list[float] = []
            while len(times) < 5 and sum(times) < 2:
                start = time.perf_counter()
                result = call()
                times.append(time.perf_counter() - start)
            seconds = min(times)
            if path:
                np.save(path, result)
        print(seconds, file=out, flush=True)


class Side:
    def __init__(self, side: str, weights: str, threads: int):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, __file__, "--worker", side, weights]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip

    def seconds(self, case: str, peer: str, path: str = "") -> float:
        self.process.stdin.write(f"{case}\t{peer}\t{path}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


PLAIN_SCRIPT = """
import sys
import numpy as np, torch
from PIL import Image
sys.path.insert(0, {here!r})
from peers import torch_alexnet
network = torch_alexnet({weights!r})
photo = Image.open({photo!r}).convert("RGB").resize((224, 224), Image.BILINEAR)
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
x = ((torch.from_numpy(np.array(photo)) / 255 - mean) / std).permute(2, 0, 1)[None]
x.requires_grad_()
network(x).amax().backward()
map = x.grad.abs().amax(1)[0].numpy()
map = Image.fromarray((255 * map / map.max()).astype("uint8")).convert("RGB")
both = Image.new("RGB", (448, 224))
both.paste(photo, (0, 0))
both.paste(map, (224, 0))
both.save({out!r})
"""


def whole_processes(folder: Path, weights: str, threads: int, rounds: int) -> float:
    """From start to picture: a saliency figure by our script, and by a bare one in PyTorch."""
    photo = str(ROOT / "content/images/tiger_cat.jpg")
    script = {"here": str(Path(__file__).parent), "weights": weights, "photo": photo}
    plain = [sys.executable, "-c", PLAIN_SCRIPT.format(**script, out=str(folder / "plain.png"))]
    own = [sys.executable, str(ROOT / "method_1_pp.py"), "-o", f"images={photo}"]
    own += [
        "-o",
        f"output={folder}",
        "-o",
        f"model={{name: alexnet, weights: {folder}/own.safetensors}}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    ratios = []
    for _ in range(rounds + 1):
        times = []
        for command in (own, plain):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT)
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "WEIGHTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = str(folder / "weights.npz")
        code = (
            "import numpy as np, visualize_pd as vp, paddle, safetensors.numpy;"
            "paddle.seed(0); s = {k: v.numpy() for k, v in vp.AlexNet().state_dict().items()};"
            f"np.savez({weights!r}, **s);"
            f"safetensors.numpy.save_file(s, {str(folder / 'own.safetensors')!r})"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
        own, other = (Side(side, weights, options.threads) for side in ("ours", "theirs"))
        files = [str(folder / f"{side}.npy") for side in ("ours", "theirs")]
        pairs = [(case, peer) for case, peers in CASES.items() for peer in peers]
        for case, peer in pairs:
            for side, file in zip((own, other), files):
                side.seconds(case, peer, file)  # warm
            if case in SAME and peer != "grad-cam":  # which returns shares of the largest value
                mine, their = map(np.load, files)
                apart = np.abs(mine.squeeze() - their.squeeze()).mean() / np.abs(their).mean()
                print(f"{case}, {peer}: apart by {apart:.1e} of the mean size")
        print(f"{options.threads} threads, {platform.processor() or platform.machine()}")
        print(f"{'ours / theirs':34} {'':9} {'median':>7}  {'least':>5} {'most':>6}")
        ratios: dict = {pair: [] for pair in pairs}
        for _ in range(options.rounds):
            for pair in pairs:
                time.sleep(0.25)  # the other side's threads wait in a loop for a moment
                mine = own.seconds(*pair)
                time.sleep(0.25)
                ratios[pair].append(mine / other.seconds(*pair))
        for (case, peer), found in ratios.items():
            middle = statistics.median(found)
            print(f"{case:34} {peer:9} {middle:7.2f}  {min(found):5.2f} {max(found):6.2f}")
        whole = whole_processes(folder, weights, options.threads, 3)
        print(f"{'start to picture, whole process':34} {'plain':9} {whole:7.2f}")


if __name__ == "__main__":
    main()
