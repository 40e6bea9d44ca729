"""Read the output of a layer as feature maps `[N, C, h, w]`, also if it holds tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Union

import paddle

from ..hooks import Calls

Grid = tuple[int, int]


class ChannelsFirst(NamedTuple):
    """An output `[N, C, h, w]`."""

    def maps(self, output: paddle.Tensor) -> paddle.Tensor:
        return output

    def put(self, maps: paddle.Tensor, output: paddle.Tensor) -> paddle.Tensor:
        """The output with other maps in it. It is the inverse of `maps`."""
        return maps

    def __str__(self) -> str:
        return "maps"


class ChannelsLast(NamedTuple):
    """An output `[N, h, w, C]`."""

    def maps(self, output: paddle.Tensor) -> paddle.Tensor:
        return output.transpose([0, 3, 1, 2])

    def put(self, maps: paddle.Tensor, output: paddle.Tensor) -> paddle.Tensor:
        return maps.transpose([0, 2, 3, 1])

    def __str__(self) -> str:
        return "maps, channels last"


class Tokens(NamedTuple):
    """An output `[N, extra + h·w, C]`. The extra tokens, such as a class token, come first."""

    grid: Grid
    extra: int = 0

    def maps(self, output: paddle.Tensor) -> paddle.Tensor:
        patches = output[:, self.extra :] if self.extra else output
        return patches.transpose([0, 2, 1]).reshape([0, output.shape[2], *self.grid])

    def put(self, maps: paddle.Tensor, output: paddle.Tensor) -> paddle.Tensor:
        patches = maps.flatten(2).transpose([0, 2, 1])
        if not self.extra:
            return patches
        first = output[:, : self.extra].expand([len(maps), self.extra, output.shape[2]])
        return paddle.concat([first, patches], axis=1)

    def __str__(self) -> str:
        extra = f" after {self.extra} more" if self.extra else ""
        return f"tokens, {self.grid[0]}×{self.grid[1]}{extra}"


class Windows(NamedTuple):
    """An output `[N · windows, h·w of a window, C]` or `[N · windows, h, w, C]`, as in Swin.

    Before the network cuts the maps into windows, it pads them to whole windows and rolls them by
    `shift` pixels, up and to the left.
    """

    grid: Grid
    window: Grid
    shift: Grid = (0, 0)

    def maps(self, output: paddle.Tensor) -> paddle.Tensor:
        (down, across), (height, width), channels = self.counts, self.window, output.shape[-1]
        cut = output.reshape([-1, down, across, height, width, channels])
        joined = cut.transpose([0, 5, 1, 3, 2, 4])
        joined = joined.reshape([0, channels, down * height, across * width])
        rolled_back = paddle.roll(joined, list(self.shift), axis=[2, 3])
        return rolled_back[:, :, : self.grid[0], : self.grid[1]]

    @property
    def counts(self) -> Grid:
        """How many windows there are, down and across."""
        down, across = (-(-side // part) for side, part in zip(self.grid, self.window))
        return down, across

    def __str__(self) -> str:
        shifted = f", shifted by {self.shift[0]}" if any(self.shift) else ""
        return f"windows, {self.window[0]}×{self.window[1]}{shifted}"


Layout = Union[ChannelsFirst, ChannelsLast, Tokens, Windows]


class Layouts:
    """Tells how maps lie in the outputs of a network's layers, after a forward pass of images.

    `calls` are those of the pass, of the convolutions at least. The grid of tokens is not known
    from their number: 12 tokens may be 3 × 4 or 4 × 3. It is one of the sizes that convolutions
    returned, or such a size halved once or more. In a network without convolutions it is the size
    of the images divided by a whole number.
    """

    def __init__(self, network: paddle.nn.Layer, images: paddle.Tensor, calls: Calls):
        self.count = images.shape[0]
        self.grids = list(dict.fromkeys(_grids(images, calls)))
        self.names = {id(layer): name for name, layer in network.named_sublayers()}
        self.windowed = {
            name: layer
            for name, layer in network.named_sublayers()
            if _pair(getattr(layer, "window_size", None)) and hasattr(layer, "shift_size")
        }

    def of(self, layer: paddle.nn.Layer, output: Any) -> Layout | None:
        """The layout of the maps in an output of a layer. None if it holds no maps."""
        if not isinstance(output, paddle.Tensor) or output.ndim not in (3, 4):
            return None
        if output.shape[0] != self.count:
            return self._windows(layer, output)
        return self._in_grid(output) if output.ndim == 4 else self.tokens(output.shape[1])

    def tokens(self, length: int) -> Tokens | None:
        """The layout of `length` tokens: the grid that leaves the fewest extra ones."""
        fitting = [(length - h * w, (h, w)) for h, w in self.grids if h * w <= length]
        fitting = [(extra, (h, w)) for extra, (h, w) in fitting if 2 * extra <= h * w]
        if not fitting:
            return None
        extra, grid = min(fitting, key=lambda each: each[0])
        return Tokens(grid, extra)

    def _in_grid(self, output: paddle.Tensor) -> Layout | None:
        first, last = tuple(output.shape[2:]), tuple(output.shape[1:3])
        if first not in self.grids and last in self.grids:
            return ChannelsLast()
        return None if first not in self.grids and is_attention(output) else ChannelsFirst()

    def _windows(self, layer: paddle.nn.Layer, output: paddle.Tensor) -> Windows | None:
        name = self.names.get(id(layer), "")
        around = [each for each in self.windowed if f"{name}.".startswith(f"{each}.")]
        if not around or output.shape[0] % self.count:
            return None
        block = self.windowed[max(around, key=len)]
        window, shift = _pair(block.window_size), _pair(block.shift_size)
        if window is None or shift is None or _area(output.shape[1:-1]) != _area(window):
            return None
        for grid in self.grids:
            layout = Windows(grid, window, shift)
            if self.count * _area(layout.counts) == output.shape[0]:
                return layout
        return None


def is_attention(output: paddle.Tensor) -> bool:
    """Whether an output `[…, T, T]` has rows that are not negative and sum to 1."""
    if output.shape[-1] != output.shape[-2] or output.shape[-1] == 1:
        return False
    values = output.detach()
    sums = values.sum(axis=-1)
    return bool((values >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())


def _grids(images: paddle.Tensor, calls: Calls) -> Iterable[Grid]:
    sizes = [
        tuple(out.shape[2:])
        for layer, out in calls
        if isinstance(layer, paddle.nn.Conv2D) and isinstance(out, paddle.Tensor) and out.ndim == 4
    ]
    sizes = [size for size in dict.fromkeys(sizes) if _area(size) > 1]
    yield from sizes
    for height, width in sizes:
        while height > 1 and width > 1:
            yield height // 2, width // 2
            height, width = -(-height // 2), -(-width // 2)
            yield height, width
    if not sizes:
        height, width = images.shape[2:]
        for patch in range(1, min(height, width)):
            if height % patch == 0 and width % patch == 0:
                yield height // patch, width // patch


def _area(size: Iterable[int]) -> int:
    area = 1
    for side in size:
        area *= int(side)
    return area


def _pair(size: Any) -> Grid | None:
    """A size of one or two whole numbers as a pair."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) == 2 and all(type(side) is int for side in pair):
        return pair
    return None
