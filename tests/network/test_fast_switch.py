"""The fast layers can be switched off. If one of them fails, the error says how."""

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
from visualize_pd.network.fast import fast_layers, is_fast, onednn, use_fast
from visualize_pd.network.fast.whole import forward as compiled

FUNCTIONS = [(conv, "_conv_nd"), (functional, "linear"), (functional, "max_pool2d")]


@pytest.fixture(autouse=True)
def switched_on():
    yield
    use_fast(True)


def current_functions():
    return [getattr(*where) for where in FUNCTIONS]


def image(size=16):
    paddle.seed(2)
    return paddle.randn([1, 3, size, size])


def test_switched_off_the_layers_are_paddles_own():
    paddles_own = current_functions()
    with fast_layers():
        assert all(now is not before for now, before in zip(current_functions(), paddles_own))
    use_fast(False)
    with fast_layers():
        assert current_functions() == paddles_own


def test_switched_off_no_network_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "_compile", lambda *_: pytest.fail("compiled"))
    use_fast(False)
    occlusion(small_net(), image(), size=8, stride=4)


@pytest.mark.parametrize(("value", "asked", "fast"), [
    ("0", True, False), ("1", True, True), ("1", False, False), (None, True, True),
])  # fmt: skip
def test_environment_and_use_fast_must_both_allow_it(monkeypatch, value, asked, fast):
    monkeypatch.delenv("VISUALIZE_PD_FAST", raising=False)
    if value is not None:
        monkeypatch.setenv("VISUALIZE_PD_FAST", value)
    use_fast(asked)
    assert is_fast() is fast


def test_new_process_reads_the_environment():
    code = "import visualize_pd.network.fast as f; print(f.is_fast())"
    for value, printed in (("0", "False"), ("1", "True")):
        environment = {**os.environ, "VISUALIZE_PD_FAST": value}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert done.stdout.split()[-1] == printed, done.stderr


@pytest.mark.parametrize("fast", [True, False])
def test_config_key_fast(tmp_path, photograph, fast):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"images: {photograph('a.png')}\noutput: {tmp_path}\nfast: {str(fast).lower()}\n"
        "model: {name: tiny:small_net, image_size: 32}\n"
    )
    use_fast(not fast)
    explain(load_config(ExplainConfig, path), print, print)
    assert is_fast() is fast


class BrokenPredictor:
    """A predictor of Paddle's inference engine that fails when it runs."""

    def get_input_handle(self, name):
        return self

    def get_output_names(self):
        return ["out"]

    get_output_handle = get_input_handle

    def share_external_data(self, tensor):
        pass

    def run(self):
        raise RuntimeError("C++ traceback\nPreconditionNotMetError: no such primitive\n")


def test_error_of_a_fast_layer_says_how_to_switch_it_off(monkeypatch):
    monkeypatch.setattr(paddle.inference, "create_predictor", lambda config: BrokenPredictor())
    run = onednn.run_program(b"", ["x"], 1)
    message = r"no such primitive.*VISUALIZE_PD_FAST=0.*fast=false"
    with pytest.raises(VisualizeError, match=message):
        run(image())


def test_fast_and_plain_layers_give_the_same_map():
    network = small_net()
    fast = gradient(network, image(), 1).numpy()
    use_fast(False)
    plain = gradient(network, image(), 1).numpy()
    assert abs(fast - plain).max() <= 1e-5 * abs(plain).max()
