"""Paddle's inference engine on a CPU. It is the only part of Paddle that uses oneDNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import threadpoolctl

from .switch import failed

_POOLS = threadpoolctl.ThreadpoolController().lib_controllers
_OWN_POOLS = [pool for pool in _POOLS if "paddle" in Path(pool.filepath).parts] or _POOLS

Run = Callable[..., list[np.ndarray]]


def threads() -> int:
    """The number of CPU threads that Paddle uses at present."""
    return max((pool.num_threads for pool in _OWN_POOLS), default=1)


def run_program(text: Any, names: Sequence[str], count: int, keeps: bool = False) -> Run:
    """Make a function that runs a program, as `serialised` writes it.

    The function takes tensors and returns the outputs as arrays. It raises `ModelError` if the
    engine fails. `names` are the inputs of the program, in the order of the tensors. `count` is the
    number of CPU threads. The engine reads the memory of the tensors without a copy. If it
    `keeps` its own memory, the next run needs no new one, which would not fit into the gaps.
    """
    config = paddle.inference.Config()
    config.set_model_buffer(text, len(text), "", 0)
    if hasattr(config, "enable_new_ir"):  # Paddle 3
        config.enable_new_ir(False)
    config.switch_ir_optim(False)
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(count)
    predictor = paddle.inference.create_predictor(config)
    inputs = [predictor.get_input_handle(name) for name in names]
    results = [predictor.get_output_handle(name) for name in predictor.get_output_names()]

    def run(*tensors: paddle.Tensor) -> list[np.ndarray]:
        whole = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        try:
            for handle, tensor in zip(inputs, whole):
                handle.share_external_data(tensor)
            predictor.run()
        except Exception as error:  # the engine can raise any error of Paddle
            raise failed(error) from error
        finally:
            paddle.base.core.set_num_threads(count)  # the engine has set it to one
        outputs = [result.copy_to_cpu() for result in results]
        if not keeps:
            predictor.clear_intermediate_tensor()
        return outputs

    return run


def as_tensor(array: np.ndarray) -> paddle.Tensor:
    """A tensor that uses the same memory as the array."""
    place = paddle.CPUPlace()
    return paddle.base.core.eager.Tensor(value=array, place=place, zero_copy=True)
