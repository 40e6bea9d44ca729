"""Forward passes without gradients, done by a compiled copy of the network.

On a CPU, Paddle's inference engine runs the copy with oneDNN. Paddle does not use oneDNN otherwise.
For most networks this is several times faster, most of all for depthwise convolutions. On a GPU,
`paddle.jit` runs the copy, if `VISUALIZE_PD_JIT=1` is set.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paddle

from ...hooks import hooks_of
from ...outputs import PickedOutput
from ..onednn import as_tensor, create_runner, threads
from ..operations import Wrapped
from ..switch import is_fast, is_traced_on_gpu
from .agreement import agree

Run = Callable[[paddle.Tensor], paddle.Tensor]

# Compiling takes one or two seconds. It begins when the plain passes have taken as long as this. So
# the time of a run can at most double, and short runs never compile.
COMPILE_AFTER_SECONDS = 2.0
WORTH_IT = 0.9  # share of the time of a plain pass


class _Copy:
    """The compiled copy of a network for one size of images, if there is one yet."""

    def __init__(self) -> None:
        self.seconds = 0.0  # the time that plain passes have taken
        self.run: Run | None = None
        self.refused = False


_COPIES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class CompiledForward:
    """A function from images to the output of the network. A compiled copy returns one tensor.

    It is made for one `with` block, in which the network is frozen and no gradients are recorded.
    `needed` finds that tensor, such as the logits, in the output of the network. It returns None if
    more is needed, and then no copy is used. A copy is used only if it is faster and if its numbers
    are those of the network, to 1e-5 of the largest one. They are compared again in each block,
    because the weights may have changed since the last block.
    """

    def __init__(self, network: paddle.nn.Layer, needed: Callable[[Any], paddle.Tensor | None]):
        self.network, self.needed = network, needed
        self.checked = False

    def __call__(self, images: paddle.Tensor) -> Any:
        if not _can_be_fast(self.network, images):
            return self.network(images)
        copies = _COPIES.setdefault(self.network, {})
        copy = copies.setdefault(tuple(images.shape[1:]), _Copy())
        if copy.run and not self.checked:
            first = images[:1]
            expected = self.needed(self.network(first))
            if expected is None:
                return self.network(images)
            if agree(copy.run(first), expected):
                self.checked = True
            else:
                copy.seconds, copy.run = 0.0, None
        if copy.run:
            return copy.run(images)
        output, seconds = _timed(self.network, images)
        copy.seconds += seconds
        expected = self.needed(output)
        if copy.seconds > COMPILE_AFTER_SECONDS and not copy.refused and expected is not None:
            copy.run = _compiled(self.network, images, expected, seconds)
            copy.refused = copy.run is None
            self.checked = True
        return output


def _can_be_fast(network: paddle.nn.Layer, images: paddle.Tensor) -> bool:
    """Whether a copy may run: on such a device, in single precision, and if no layer has a hook.

    A hook that picks an output does not count, because it is compiled together with the network.
    """
    return (
        (is_fast() if images.place.is_cpu_place() else is_traced_on_gpu())
        and images.dtype == paddle.float32
        and not any(not isinstance(hook, PickedOutput) for hook in hooks_of(network))
    )


def _compiled(
    network: paddle.nn.Layer, images: paddle.Tensor, expected: paddle.Tensor, seconds: float
) -> Run | None:
    """A compiled copy. None if compiling fails, if its logits differ, or if it is not faster."""
    try:
        with _silent():
            run = _compile(network, images.shape[1:], images.place.is_cpu_place())
            right = agree(run(images), expected)  # this first call is slower, so it is not timed
            right = right and agree(*_of_another_batch_size(run, images, expected))
        _, own = _timed(run, images)
    except Exception:  # some networks cannot be compiled. They run as they are
        return None
    return run if right and own < WORTH_IT * seconds else None


def _timed(run: Callable, images: paddle.Tensor) -> tuple[Any, float]:
    """What `run` returns for images, and the seconds that it takes on their device."""
    on_gpu = images.place.is_gpu_place()
    if on_gpu:
        paddle.device.synchronize()
    start = time.perf_counter()
    output = run(images)
    if on_gpu:
        paddle.device.synchronize()
    return output, time.perf_counter() - start


def _of_another_batch_size(
    run: Run, images: paddle.Tensor, expected: paddle.Tensor
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Logits of a copy, and those of the network. A copy may keep the batch size of its trace."""
    if len(images) > 1:
        return run(images[:1]), expected[:1]
    return run(paddle.concat([images] * 2)), paddle.concat([expected] * 2)


def _compile(network: paddle.nn.Layer, shape: list[int], on_cpu: bool = True) -> Run:
    spec = paddle.static.InputSpec([None, *shape], "float32", name="images")
    with tempfile.TemporaryDirectory() as folder:
        paddle.jit.save(Wrapped(network), os.path.join(folder, "network"), input_spec=[spec])
        (program,) = (
            path for path in Path(folder).iterdir() if path.suffix in (".json", ".pdmodel")
        )
        if not on_cpu:
            return _first_of(paddle.jit.load(os.path.join(folder, "network")))
        config = paddle.inference.Config(str(program), str(program.with_suffix(".pdiparams")))
        run = create_runner(config, ["images"], threads())

    def logits(images: paddle.Tensor) -> paddle.Tensor:
        output, *_ = run(images)
        return as_tensor(output[:, None] if output.ndim == 1 else output)

    return logits


def _first_of(program: Callable) -> Run:
    """The first output of a program that runs on the device of its images."""

    def logits(images: paddle.Tensor) -> paddle.Tensor:
        first = paddle.utils.flatten(program(images))[0]
        return first.unsqueeze(1) if first.ndim == 1 else first

    return logits


@contextmanager
def _silent() -> Iterator[None]:
    """Hide the warnings of Paddle's compiler. Some of them do not go through Python's stderr."""
    before = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(before, 2)
        os.close(before)
