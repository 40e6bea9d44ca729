"""Paddle's inference engine on a CPU, the only part of Paddle that uses oneDNN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import paddle
import threadpoolctl

from .switch import failed

_POOLS = threadpoolctl.ThreadpoolController().lib_controllers
_OWN_POOLS = [pool for pool in _POOLS if "paddle" in Path(pool.filepath).parts] or _POOLS

Run = Callable[..., np.ndarray]


def threads() -> int:
    """The number of CPU threads that Paddle uses now."""
    return max((pool.num_threads for pool in _OWN_POOLS), default=1)


def create_runner(config: paddle.inference.Config, names: Sequence[str], count: int) -> Run:
    """A function `tensors → the first output` (an array) that runs the program of `config`.

    `names`: the program's inputs, in the order of the tensors; `count`: the number of CPU threads.
    The engine reads the memory of the tensors themselves. The function raises `ModelError` if the
    engine fails.
    """
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(count)
    predictor = paddle.inference.create_predictor(config)
    given = [predictor.get_input_handle(name) for name in names]
    found = predictor.get_output_handle(predictor.get_output_names()[0])

    def run(*tensors: paddle.Tensor) -> np.ndarray:
        whole = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        try:
            for handle, tensor in zip(given, whole):
                handle.share_external_data(tensor)
            predictor.run()
        except Exception as error:  # the engine raises Paddle's errors of every kind
            raise failed(error) from error
        finally:
            paddle.base.core.set_num_threads(count)  # the engine leaves Paddle one thread
        output = found.copy_to_cpu()
        predictor.clear_intermediate_tensor()
        return output

    return run


def as_tensor(array: np.ndarray) -> paddle.Tensor:
    """A tensor that uses the same memory as the array."""
    place = paddle.CPUPlace()
    return paddle.base.core.eager.Tensor(value=array, place=place, zero_copy=True)
