"""A whole network as one program for Paddle's inference engine: its outputs, or its gradients."""

from .forward import CompiledForward
from .gradient import expect_images, gradient_of_logits

__all__ = ["CompiledForward", "expect_images", "gradient_of_logits"]
