"""The fast layers can be switched off, and say so where one of them fails."""

import os
import subprocess
import sys

import paddle
import pytest
from paddle.nn import functional
from paddle.nn.functional import conv
from tiny import small_net

from visualize_pd import VisualizeError, gradient, occlusion
from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.app.explain.run import explain
from visualize_pd.network.fast import compiled, fast_layers, is_fast, onednn, use_fast

FUNCTIONS = [(conv, "_conv_nd"), (functional, "linear"), (functional, "max_pool2d")]


@pytest.fixture(autouse=True)
def switched_on():
    yield
    use_fast(True)


def functions():
    return [getattr(*where) for where in FUNCTIONS]


def image(size=16):
    paddle.seed(2)
    return paddle.randn([1, 3, size, size])


def test_without_it_paddles_own_layers_run():
    own = functions()
    with fast_layers():
        assert all(function is not before for function, before in zip(functions(), own))
    use_fast(False)
    with fast_layers():
        assert functions() == own


def test_without_it_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "_compile", lambda *_: pytest.fail("compiled"))
    use_fast(False)
    occlusion(small_net(), image(), size=8, stride=4)


@pytest.mark.parametrize(("value", "asked", "fast"), [
    ("0", True, False), ("1", True, True), ("1", False, False), (None, True, True),
])  # fmt: skip
def test_the_environment_and_the_call_must_both_allow_it(monkeypatch, value, asked, fast):
    monkeypatch.delenv("VISUALIZE_PD_FAST", raising=False)
    if value is not None:
        monkeypatch.setenv("VISUALIZE_PD_FAST", value)
    use_fast(asked)
    assert is_fast() is fast


def test_the_environment_is_read_by_a_process_of_its_own():
    code = "import visualize_pd.network.fast as f; print(f.is_fast())"
    for value, told in (("0", "False"), ("1", "True")):
        environment = {**os.environ, "VISUALIZE_PD_FAST": value}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert done.stdout.split()[-1] == told, done.stderr


@pytest.mark.parametrize("fast", [True, False])
def test_the_config_key(tmp_path, photograph, fast):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"images: {photograph('a.png')}\noutput: {tmp_path}\nfast: {str(fast).lower()}\n"
        "model: {name: tiny:small_net, image_size: 32}\n"
    )
    use_fast(not fast)
    explain(load_config(ExplainConfig, path), print, print)
    assert is_fast() is fast


class Broken:
    """An engine that starts, and fails when it runs."""

    def get_input_handle(self, name):
        return self

    def get_output_names(self):
        return ["out"]

    get_output_handle = get_input_handle

    def share_external_data(self, tensor):
        pass

    def run(self):
        raise RuntimeError("C++ traceback\nPreconditionNotMetError: no such primitive\n")


def test_a_layer_that_fails_tells_how_to_do_without(monkeypatch):
    monkeypatch.setattr(paddle.inference, "create_predictor", lambda config: Broken())
    run = onednn.create_runner(paddle.inference.Config(), ["x"], 1)
    with pytest.raises(VisualizeError, match="no such primitive.*VISUALIZE_PD_FAST=0.*fast=false"):
        run(image())


def test_both_ways_give_the_same_map():
    network = small_net()
    fast = gradient(network, image(), 1).numpy()
    use_fast(False)
    plain = gradient(network, image(), 1).numpy()
    assert abs(fast - plain).max() <= 1e-5 * abs(plain).max()
