"""Makes checkpoint_*.pth and checkpoint_expected.npz. Run once, with PyTorch: 2.13 was used.

The expected values are written by numpy from the tensors themselves, and the logits are PyTorch's.
"""

from collections import OrderedDict
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
expected = {}


def save(name, content, legacy=False):
    path = HERE / f"checkpoint_{name}.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


# A small network: its BatchNorm has statistics, its middle Linear is square.
torch.manual_seed(7)
network = nn.Sequential(
    nn.Conv2d(3, 4, 3, bias=False),
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Linear(16, 6),
    nn.ReLU(),
    nn.Linear(6, 6),
    nn.ReLU(),
    nn.Linear(6, 5),
)
with torch.no_grad():
    for parameter in network.parameters():
        parameter.normal_()
    for _ in range(3):
        network(torch.randn(8, 3, 9, 9) * 2 + 1)
    network.eval()
    images = torch.randn(4, 3, 9, 9)
    expected["images"], expected["logits"] = images.numpy(), network(images).numpy()
state = network.state_dict()
assert state._metadata and state["1.num_batches_tracked"] == 3
state = deepcopy(state)  # an OrderedDict that keeps `_metadata`

# One step on: other weights, and an optimizer with buffers of the same shapes.
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
network(images).sum().backward()
optimizer.step()
trained = nn.DataParallel(network).state_dict()  # its names begin with "module."
for prefix, tensors in (("net", state), ("trained", network.state_dict())):
    expected.update({f"{prefix}/{name}": tensor.numpy() for name, tensor in tensors.items()})

# Tensors in every shape of storage.
base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
signed = torch.tensor([1.5, -2.0, 0.099976, 65504.0, -0.0])
views = OrderedDict(
    whole=base,
    transposed=base.t(),
    row=base[1],
    column=base[:, 2],
    block=base[1:3, 2:5],
    every_other=base[::2, ::3],
    channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    half=signed.half(),
    half_transposed=signed[:4].half().reshape(2, 2).t(),
    bfloat=torch.tensor([1.0, -3.140625, 1e30, 2.0**-120]).bfloat16(),
    bfloat_tail=torch.arange(6).bfloat16()[2:],
    double=torch.tensor([1 / 3, -1e-300], dtype=torch.float64),
    counter=torch.tensor(12345),
    numbers=torch.tensor([[-(2**31), 7], [2**20, 0]]),
    small=torch.tensor([-128, 127], dtype=torch.int8),
    bytes=torch.tensor([0, 255], dtype=torch.uint8),
    yes_no=torch.tensor([True, False, True]),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=nn.Parameter(base[:2].clone()),
    parameter_view=nn.Parameter(base.t()[3:]),
)
for name, tensor in views.items():
    plain = tensor.detach()
    plain = plain.float() if plain.dtype == torch.bfloat16 else plain
    expected[f"views/{name}"] = plain.numpy().copy()

for legacy, suffix in ((False, "zip"), (True, "legacy")):
    epoch = {"epoch": 3, "best": np.float64(71.5), "optimizer": optimizer.state_dict()}
    save(f"net_{suffix}", state, legacy)
    save(f"views_{suffix}", views, legacy)
    save(f"wrapped_{suffix}", {**epoch, "state_dict": trained, "arch": "small"}, legacy)
    save(f"model_{suffix}", {"model": network.state_dict(), "scheduler": {"last": 3}}, legacy)
np.savez_compressed(HERE / "checkpoint_expected.npz", **expected)
