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
from collections.abc import Callable
from typing import Any, NamedTuple

import paddle

from ...hooks import hooks_of
from ...outputs import PickedOutput
from ..onednn import as_tensor, threads
from ..switch import is_fast, is_traced_on_gpu
from .agreement import MANY, agree
from .program import build
from .tracing import Wrapped

Run = Callable[[paddle.Tensor], paddle.Tensor]

# Compiling takes some tenths of a second. It begins when the plain passes have taken as long as
# this. So the time of a run can at most double, and short runs never compile.
COMPILE_AFTER_SECONDS = 0.5
WORTH_IT = 0.9  # share of the time of a plain pass
MOST_COPIES = 4  # of a network for images of one size


class _Copy(NamedTuple):
    """A copy, and whether its network is still the same.

    `compared` are the outputs that it was compared with. `None` means that nothing can tell of
    changed weights, so that its numbers are compared in each block.
    """

    run: Run
    is_current: Callable[[paddle.nn.Layer], bool]
    compared: set[Callable] | None

    def remembers(self, needed: Callable) -> bool:
        return self.compared is not None and needed in self.compared

    def remember(self, needed: Callable) -> None:
        if self.compared is not None:
            self.compared.add(needed)


class _Copies:
    """The compiled copies of a network for one size of images, by the number of images.

    The number is None for a copy that takes any number. What cannot be compiled is None.
    """

    def __init__(self) -> None:
        self.seconds = 0.0  # the time that plain passes have taken
        self.unchecked = 0  # images since the numbers were compared
        self.runs: dict[int | None, _Copy | None] = {}

    def tried(self, count: int) -> bool:
        return None in self.runs or count in self.runs or len(self.runs) >= MOST_COPIES

    def copy_for(self, count: int) -> _Copy | None:
        return self.runs.get(None) or self.runs.get(count)

    def forget(self) -> None:
        self.seconds, self.runs = 0.0, {}


_COPIES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class CompiledForward:
    """A function from images to the output of the network. A compiled copy returns one tensor.

    It is made for one `with` block, in which the network is frozen and no gradients are recorded.
    `needed` finds that tensor, such as the logits, in the output of the network. It returns None if
    more is needed, and then no copy is used. A copy is used only if it is faster and if its numbers
    are those of the network, to 1e-5 of the largest one. In each block the network is compared with
    what it was, and the numbers too if 16 images have come since.
    """

    def __init__(self, network: paddle.nn.Layer, needed: Callable[[Any], paddle.Tensor | None]):
        self.network, self.needed = network, needed
        self.current, self.compared = set[int](), False

    def __call__(self, images: paddle.Tensor) -> Any:
        if not _can_be_fast(self.network, images):
            return self.network(images)
        kind = *images.shape[1:], threads()
        copies = _COPIES.setdefault(self.network, {}).setdefault(kind, _Copies())
        if copy := copies.copy_for(len(images)):
            copies.unchecked += len(images)
            if not (id(copy) in self.current or copy.is_current(self.network)):
                copies.forget()
            elif self.compared or (
                self.needed in (copy.compared or ()) and copies.unchecked < MANY
            ):
                self.current.add(id(copy))
                return copy.run(images)
            elif (expected := self.needed(self.network(images[:1]))) is None:
                return self.network(images)
            elif agree((found := copy.run(images))[:1], expected):
                self.compared, copies.unchecked = True, 0
                self.current.add(id(copy))
                copy.remember(self.needed)
                return found
            else:
                copies.forget()
        output, seconds = _timed(self.network, images)
        copies.seconds += seconds
        expected = self.needed(output)
        due = copies.seconds > COMPILE_AFTER_SECONDS and not copies.tried(len(images))
        if due and expected is not None:
            count, copy = _compiled(self.network, images, expected, seconds)
            copies.runs[count] = copy
            if copy:
                copy.remember(self.needed)
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
) -> tuple[int | None, _Copy | None]:
    """The number of images that a copy takes, and the copy.

    The copy is None if compiling fails, if its logits differ, or if it is not faster.
    """
    try:
        any_count, copy = _compile(network, images.shape, images.place.is_cpu_place())
        run = copy.run
        count = None if any_count else len(images)
        right = agree(run(images), expected)  # this first call is slower, so it is not timed
        right = right and (not any_count or _takes_another_count(run, images, expected))
        _, own = _timed(run, images)
    except Exception:  # some networks cannot be compiled. They run as they are
        return None, None
    return count, copy if right and own < WORTH_IT * seconds else None


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


def _takes_another_count(run: Run, images: paddle.Tensor, expected: paddle.Tensor) -> bool:
    """Whether a copy is right for another number of images too."""
    if len(images) > 1:
        return agree(run(images[:1]), expected[:1])
    return agree(run(paddle.concat([images] * 2)), paddle.concat([expected] * 2))


def _compile(network: paddle.nn.Layer, shape: list[int], on_cpu: bool = True) -> tuple[bool, _Copy]:
    """Whether a copy takes any number of images, and the copy."""
    if not on_cpu:
        return True, _Copy(_on_gpu(network, shape), lambda network: True, None)
    program = build(network, shape, backwards=False)

    def logits(images: paddle.Tensor) -> paddle.Tensor:
        output, *_ = program.run(images.detach())
        return as_tensor(output[:, None] if output.ndim == 1 else output)

    return program.any_count, _Copy(logits, program.is_of, set())


def _on_gpu(network: paddle.nn.Layer, shape: list[int]) -> Run:
    """The first output of the network, run by `paddle.jit` on the device of the images."""
    spec = paddle.static.InputSpec([None, *shape[1:]], "float32", name="images")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "network")
        paddle.jit.save(Wrapped(network), path, input_spec=[spec])
        program = paddle.jit.load(path)

    def logits(images: paddle.Tensor) -> paddle.Tensor:
        first = paddle.utils.flatten(program(images))[0]
        return first.unsqueeze(1) if first.ndim == 1 else first

    return logits
