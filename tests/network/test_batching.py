"""Batches are even, and a run that would take very long is refused or told beforehand."""

import logging

import paddle
import pytest
from tiny import small_net

from visualize_pd import VisualizeError, integrated_gradients, rise, smooth_grad
from visualize_pd.evaluate import deletion, infidelity
from visualize_pd.network import batching
from visualize_pd.network.batching import batches

IMAGE = paddle.ones([1, 3, 8, 8])
MAP = paddle.ones([1, 1, 8, 8])
HUGE = 10**12


@pytest.mark.parametrize(("count", "size", "sizes"), [
    (10, 4, [3, 3, 4]), (8, 4, [4, 4]), (3, 8, [3]), (1, 1, [1]),
])  # fmt: skip
def test_batches_are_alike_in_size(count, size, sizes):
    parts = list(batches(count, size, "counting"))
    assert [part.stop - part.start for part in parts] == sizes
    assert parts[0].start == 0 and parts[-1].stop == count


@pytest.mark.parametrize(("what", "call"), [
    ("masks", lambda network: rise(network, IMAGE, masks=HUGE)),
    ("cells", lambda network: rise(network, IMAGE, cells=10**6)),
    ("samples", lambda network: smooth_grad(network, IMAGE, samples=HUGE)),
    ("steps", lambda network: integrated_gradients(network, IMAGE, steps=HUGE)),
    ("draws", lambda network: integrated_gradients(
        network, IMAGE, steps=2, baseline="random", draws=HUGE)),
    ("samples", lambda network: infidelity(network, IMAGE, MAP, samples=HUGE)),
    ("steps", lambda network: deletion(network, IMAGE, MAP, steps=HUGE)),
])  # fmt: skip
def test_numbers_that_would_take_days_are_refused(what, call, time_limit):
    with time_limit(5), pytest.raises(VisualizeError, match=f"{what} must be at most [0-9,]+, not"):
        call(small_net())


def test_too_many_nodes_for_gauss_and_legendre(time_limit):
    with time_limit(5), pytest.raises(VisualizeError, match="use quadrature=midpoint"):
        integrated_gradients(small_net(), IMAGE, steps=10_000)


@pytest.mark.parametrize(("seconds", "told"), [
    (0.5, None),
    (2.0, "about 5.6 hours"),
    (200.0, "about 23.1 days"),
])  # fmt: skip
def test_a_long_run_is_told_after_its_first_batch(monkeypatch, caplog, seconds, told):
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    clock = iter([0.0, seconds])
    monkeypatch.setattr(batching.time, "monotonic", lambda: next(clock))
    rounds = batches(20_000 if told else 2_000, 2, "hiding at random")
    next(rounds)
    next(rounds)
    messages = {record.getMessage() for record in caplog.records}
    assert messages == ({f"hiding at random, 20,000 times, will take {told}"} if told else set())
