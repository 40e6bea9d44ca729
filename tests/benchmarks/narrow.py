"""Transformers of PaddleClas, and its ConvNeXt, with few blocks and channels, for `families.py`.

At their usual width, a method with one pass for each channel takes an hour on a CPU.
"""

import sys

from paddle import nn

from visualize_pd.models.networks.paddleclas import builders


def _build(module: str, network: str, **options) -> nn.Layer:
    builders()  # imports all of PaddleClas
    return getattr(sys.modules[f"ppcls.arch.backbone.{module}"], network)(class_num=10, **options)


def swin() -> nn.Layer:
    options = {"embed_dim": 24, "depths": [1, 1, 2, 2], "num_heads": [1, 2, 4, 8]}
    return _build("legendary_models.swin_transformer", "SwinTransformer", **options)


def vit() -> nn.Layer:
    options = {"embed_dim": 48, "depth": 3, "num_heads": 3, "qkv_bias": True}
    return _build("model_zoo.vision_transformer", "VisionTransformer", **options)


def clip() -> nn.Layer:
    options = {"patch_size": 32, "embed_dim": 48, "depth": 3, "num_heads": 3, "qkv_bias": True}
    name = "CLIP_vit_base_patch32_224"
    return _build("model_zoo.foundation_vit", "VisionTransformer", model_name=name, **options)


def convnext() -> nn.Layer:
    options = {"depths": [1, 1, 2, 1], "dims": [12, 24, 48, 96]}
    return _build("model_zoo.convnext", "ConvNeXt", **options)
