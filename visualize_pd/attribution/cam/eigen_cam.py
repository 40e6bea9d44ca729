"""CAMs by the first principal component."""

from __future__ import annotations

import paddle

from .pipeline import CamInputs, cam
from .principal_component import principal_component


@cam(gradients=False)
def eigen_cam(inputs: CamInputs) -> paddle.Tensor:
    """Eigen-CAM (Muhammad & Yeasin 2020): A projected on its first principal component.

    The class is ignored. The features are centred. The component has the sign that makes the map
    high where the features are strong.
    """
    return principal_component(inputs.activations)


@cam
def eigen_grad_cam(inputs: CamInputs) -> paddle.Tensor:
    """Eigen-CAM (Muhammad & Yeasin 2020) of A · ∂S_c/∂A, which depends on the class."""
    return principal_component(inputs.gradients * inputs.activations)
