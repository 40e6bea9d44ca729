"""CAMs by the first principal component."""

from __future__ import annotations

import paddle

from .pipeline import CamInputs, cam
from .principal_component import principal_component


@cam(gradients=False)
def eigen_cam(inputs: CamInputs) -> paddle.Tensor:
    """Eigen-CAM (Muhammad & Yeasin 2020): A along its first principal component; no class.

    The features are centred, and the component points to where they are strong on the whole.
    """
    return principal_component(inputs.activations)


@cam
def eigen_grad_cam(inputs: CamInputs) -> paddle.Tensor:
    """Eigen-CAM of A · ∂S_c/∂A, so that it knows a class."""
    return principal_component(inputs.gradients * inputs.activations)
