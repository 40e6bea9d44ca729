"""Write the weights of a network that an example has trained."""

from __future__ import annotations

import io
from pathlib import Path

import paddle

from ...core.files import atomic_write


def save_network(network: paddle.nn.Layer, path: Path) -> None:
    """Write the weights of a network to a `.pdparams` file."""
    with atomic_write(path) as file:
        memory = io.BytesIO()
        paddle.save(network.state_dict(), memory)
        file.write(memory.getvalue())
