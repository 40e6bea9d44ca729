"""Relevance by its definitions: layers are matrices of float64, and nothing is differentiated."""

import numpy as np


def convolution_matrix(weight, shape, padding):
    """The matrix of a convolution of flat maps of `shape` `[C, H, W]`, and its output's shape."""
    outputs, _, kernel, _ = weight.shape
    _, height, width = shape
    size = outputs, height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1
    matrix = np.zeros((*size, *shape))
    for row, column, y, x in np.ndindex(size[1], size[2], kernel, kernel):
        i, j = row + y - padding, column + x - padding
        if 0 <= i < height and 0 <= j < width:
            matrix[:, row, column, :, i, j] = weight[:, :, y, x]
    return matrix.reshape(int(np.prod(size)), -1), size


def merged(arrays, layer, norm):
    """Weights and bias of a convolution and the BatchNorm after it, in float64."""
    get = {name: value.astype("float64") for name, value in arrays.items()}
    factor = get[f"{norm}.weight"] / np.sqrt(get[f"{norm}.variance"] + 1e-5)
    bias = get.get(f"{layer}.bias", 0) - get[f"{norm}.mean"]
    return get[f"{layer}.weight"] * factor[:, None, None, None], bias * factor + get[f"{norm}.bias"]


def windows(shape):
    """The places, in a flat map of `shape`, of the numbers of each 2 × 2 window."""
    places = np.arange(np.prod(shape)).reshape(shape)
    height, width = shape[1] // 2, shape[2] // 2
    starts = [(i, j) for i in (0, 1) for j in (0, 1)]
    corners = [places[:, i::2, j::2][:, :height, :width] for i, j in starts]
    return np.stack([corner.ravel() for corner in corners], 1)


class Slow:
    """The network of `relevance_network.py` for one image `[3, H, W]`."""

    def __init__(self, arrays, shape):
        get = {name: value.astype("float64") for name, value in arrays.items()}
        weight, bias = merged(arrays, "conv", "norm")
        self.conv, size = convolution_matrix(weight, shape, 1)
        self.conv_bias = np.repeat(bias, size[1] * size[2])
        self.windows = windows(size)
        small = size[0], size[1] // 2, size[2] // 2
        area = small[1] * small[2]
        weight, bias = merged(arrays, "left", "left_norm")
        self.left, self.left_bias = convolution_matrix(weight, small, 1)[0], np.repeat(bias, area)
        weight, bias = merged(arrays, "right", "right_norm")
        self.right, self.right_bias = convolution_matrix(weight, small, 0)[0], np.repeat(bias, area)
        self.mean = np.kron(np.eye(12), np.full(area, 1 / area))
        self.hidden, self.hidden_bias = get["hidden.weight"], get["hidden.bias"]
        self.out, self.out_bias = get["out.weight"], get["out.bias"]

    def forward(self, image):
        """All values by their names, `a` before and `b` after an activation."""
        v = {"image": image.astype("float64").ravel()}
        v["a"] = self.conv @ v["image"] + self.conv_bias
        v["b"] = v["a"].clip(0)
        v["winner"] = self.windows[np.arange(len(self.windows)), v["b"][self.windows].argmax(1)]
        v["stem"] = v["b"][v["winner"]]
        v["left_a"] = self.left @ v["stem"] + self.left_bias
        v["left_b"] = v["left_a"].clip(0, 6)
        v["right"] = self.right @ v["left_b"] + self.right_bias
        v["sum"] = v["stem"] + v["right"]
        v["block"] = v["sum"].clip(0)
        v["pooled"] = self.mean @ np.concatenate([v["block"], v["left_b"]])
        v["hidden_a"] = self.hidden @ v["pooled"] + self.hidden_bias
        v["hidden_b"] = v["hidden_a"].clip(0)
        v["logits"] = self.out @ v["hidden_b"] + self.out_bias
        return v

    def deep_lift(self, image, start, target):
        """(I − I′) · m, with the multipliers of the rescale rule chained from the score down."""
        v, w = self.forward(image), self.forward(start)

        def chord(before, after, lowest, highest):
            difference = v[before] - w[before]
            inside = (v[before] > lowest) & (v[before] < highest)
            safe = np.where(difference == 0, 1, difference)
            return np.where(difference == 0, inside, (v[after] - w[after]) / safe)

        m = self.hidden.T @ (self.out[target] * chord("hidden_a", "hidden_b", 0, np.inf))
        block, left = np.split(self.mean.T @ m, 2)
        block = block * chord("sum", "block", 0, np.inf)
        left = (left + self.right.T @ block) * chord("left_a", "left_b", 0, 6)
        stem = block + self.left.T @ left
        before = np.zeros_like(v["b"])
        for position, multiplier in enumerate(stem):
            rise, fall = (f(v["stem"][position] - w["stem"][position], 0) for f in (max, min))
            for share, winner in ((rise, v["winner"][position]), (fall, w["winner"][position])):
                if share:
                    before[winner] += multiplier * share / (v["b"][winner] - w["b"][winner])
        m = self.conv.T @ (before * chord("a", "b", 0, np.inf))
        return ((v["image"] - w["image"]) * m).reshape(image.shape)


def shares(rule, x, weight, bias, settings):
    """The share of each output's relevance that goes to each input, `[outputs, inputs]`."""
    c = weight * x
    z = c.sum(1) + bias
    if rule == "epsilon":
        return c / (z + np.where(z < 0, -1, 1) * settings["epsilon"])[:, None]
    if rule == "flat":
        return np.full_like(c, 1 / len(x))
    if rule == "z_box":
        c = c - settings["low"] * weight.clip(0) - settings["high"] * weight.clip(max=0)
        return c / c.sum(1, keepdims=True)
    up, down = c.clip(0), c.clip(max=0)
    positive, negative = up.sum(1) + bias.clip(0), down.sum(1) + bias.clip(max=0)
    if rule == "gamma":
        more = np.where((z > 0)[:, None], up, down)
        total = z + settings["gamma"] * np.where(z > 0, positive, negative)
        return (c + settings["gamma"] * more) / total[:, None]
    up = np.divide(up, positive[:, None], out=np.zeros_like(c), where=positive[:, None] > 0)
    down = np.divide(down, negative[:, None], out=np.zeros_like(c), where=negative[:, None] < 0)
    alpha = settings["alpha"] if rule == "alpha_beta" else 1
    return alpha * up - (alpha - 1) * down


def slow_lrp(layers, rules, image, target, settings):
    """The relevance of pixels in a network of affine layers `(weight, bias)` with ReLUs between."""
    inputs, values = [], image
    for number, (weight, bias) in enumerate(layers):
        inputs.append(values.clip(0) if number else values)
        values = weight @ inputs[-1] + bias
    relevance = np.where(np.arange(len(values)) == target, values, 0)
    for rule, x, (weight, bias) in list(zip(rules, inputs, layers))[::-1]:
        relevance = relevance @ shares(rule, x, weight, bias, settings)
    return relevance
