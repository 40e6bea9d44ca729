"""Networks whose feature maps are known, and the equations of the CAM papers as plain loops."""

import numpy as np
import paddle
from paddle import nn

import visualize_pd

CAMS = {
    name: getattr(visualize_pd, name)
    for name in (
        "grad_cam",
        "grad_cam_pp",
        "xgrad_cam",
        "layer_cam",
        "hires_cam",
        "eigen_cam",
        "eigen_grad_cam",
        "score_cam",
        "ablation_cam",
    )
}


def identity_conv(channels, stride=1):
    """A 1 × 1 convolution that returns its input, or every second pixel of it with stride 2."""
    conv = nn.Conv2D(channels, channels, 1, stride=stride, bias_attr=False)
    conv.weight.set_value(np.eye(channels, dtype="float32")[:, :, None, None])
    return conv


class PolynomialNetwork(nn.Layer):
    """S_c = z + bend · z² with z = Σ w_c · A + ½ Σ v_c · A².

    The feature maps A are the image itself, or every second pixel of it with stride 2.
    """

    def __init__(self, w, v=None, bend=0.0, stride=1):
        super().__init__()
        self.w = np.asarray(w, dtype="float32")
        self.v = np.zeros_like(self.w) if v is None else np.asarray(v, dtype="float32")
        self.bend, self.stride = bend, stride
        self.conv = identity_conv(self.w.shape[1], stride)

    def forward(self, batch):
        maps = self.conv(batch)
        z = paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))
        z = z + paddle.einsum("nkhw,ckhw->nc", maps * maps, paddle.to_tensor(self.v)) / 2
        return z + self.bend * z * z

    # The same by hand, for one image: its feature maps A, then S_c and ∂S_c/∂A as functions of A.

    def maps(self, image):
        return image[:, :: self.stride, :: self.stride].astype("float64")

    def logits(self, maps):
        z = (self.w * maps + self.v * maps**2 / 2).sum((1, 2, 3))
        return z + self.bend * z**2

    def gradient(self, maps, target):
        z = (self.w * maps + self.v * maps**2 / 2).sum((1, 2, 3))[target]
        return (1 + 2 * self.bend * z) * (self.w[target] + self.v[target] * maps)


def random_network(classes=3, channels=3, height=4, width=6, seed=0, **options):
    random = np.random.default_rng(seed)
    shape = (classes, channels, height, width)
    return PolynomialNetwork(
        random.standard_normal(shape) / 4, random.standard_normal(shape) / 8, **options
    )


def nonnegative_images(count=2, channels=3, height=4, width=6, seed=1):
    """Images that look like feature maps after a ReLU. Their second channel is 0 everywhere."""
    values = np.random.default_rng(seed).standard_normal((count, channels, height, width))
    values[:, 1] = 0
    return np.maximum(values, 0).astype("float32")


class ReluNetwork(nn.Layer):
    """conv → ReLU → Σ w · A. It also has layers that return no feature maps."""

    def __init__(self, w):
        super().__init__()
        self.w = np.asarray(w, dtype="float32")
        self.conv, self.relu = identity_conv(self.w.shape[1]), nn.ReLU()
        self.unused = nn.Conv2D(3, 3, 1)
        self.flatten, self.pair = nn.Flatten(), ReturnsPair()

    def forward(self, batch):
        maps = self.pair(self.relu(self.conv(batch)))[0]
        return paddle.matmul(
            self.flatten(maps), paddle.to_tensor(self.w.reshape(len(self.w), -1).T)
        )


class ReturnsPair(nn.Layer):
    def forward(self, maps):
        return maps, maps * 2


def resized(plane, height, width):
    """A map of another size, by bilinear interpolation. Pixel i has its centre at i + ½."""
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            value, neighbours = 0.0, []
            for i, length, old in ((y, height, plane.shape[0]), (x, width, plane.shape[1])):
                at = max(0.0, (i + 0.5) * old / length - 0.5)
                low = int(at)
                neighbours.append(((low, 1 - (at - low)), (min(low + 1, old - 1), at - low)))
            for row, row_weight in neighbours[0]:
                for column, column_weight in neighbours[1]:
                    value += row_weight * column_weight * plane[row, column]
            result[y, x] = value
    return result


def divided_by_maximum(plane):
    return plane / plane.max() if plane.max() > 0 else plane


# The equations take the feature maps A and ∂S_c/∂A, both [K, h, w], and return a map [h, w]
# before its ReLU.


def grad_cam_equation(maps, gradient):
    return sum(gradient[k].sum() / gradient[k].size * maps[k] for k in range(len(maps)))


def grad_cam_pp_equation(maps, gradient):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, gradient):
        weight = 0.0
        for place in np.ndindex(a.shape):
            if g[place] > 0:
                alpha = g[place] ** 2 / (2 * g[place] ** 2 + a.sum() * g[place] ** 3)
                weight += alpha * g[place]
        total += weight * a
    return total


def xgrad_cam_equation(maps, gradient):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, gradient):
        if a.any():
            total += sum(a[place] / a.sum() * g[place] for place in np.ndindex(a.shape)) * a
    return total


def layer_cam_equation(maps, gradient):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, gradient):
        for place in np.ndindex(a.shape):
            total[place] += max(g[place], 0) * a[place]
    return total


def hires_cam_equation(maps, gradient):
    total = np.zeros(maps.shape[1:])
    for a, g in zip(maps, gradient):
        for place in np.ndindex(a.shape):
            total[place] += g[place] * a[place]
    return total


def principal_component_equation(contributions):
    """The centred contributions times the leading eigenvector of the covariance of the channels."""
    table = contributions.reshape(len(contributions), -1).T
    centred = table - table.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    along = centred @ vectors[:, -1]
    sign = -1 if along @ centred.sum(1) < 0 else 1
    return sign * along.reshape(contributions.shape[1:])


EQUATIONS = {
    "grad_cam": grad_cam_equation,
    "grad_cam_pp": grad_cam_pp_equation,
    "xgrad_cam": xgrad_cam_equation,
    "layer_cam": layer_cam_equation,
    "hires_cam": hires_cam_equation,
    "eigen_cam": lambda maps, gradient: principal_component_equation(maps),
    "eigen_grad_cam": lambda maps, gradient: principal_component_equation(maps * gradient),
}
