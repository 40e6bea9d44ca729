"""A wrong class, layer or channel is told before any progress bar begins."""

from pathlib import Path

import pytest
from app_helpers import overrides

from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.app.explain import run as explain_run
from visualize_pd.app.generate import run as generate_run

CONFIGS = Path(__file__).parents[2] / "configs"
NETWORK = "{name: tiny:small_net, image_size: 32}"


@pytest.fixture
def bars(monkeypatch):
    """The bars that the two scripts have begun."""
    begun = []
    for module in (explain_run, generate_run):
        real = module.tqdm

        def noted(*arguments, real=real, **options):
            begun.append(options)
            return real(*arguments, **options)

        monkeypatch.setattr(module, "tqdm", noted)
    return begun


@pytest.fixture
def run(tmp_path, photograph):
    def call(recipe, **keys):
        photograph("a.png"), photograph("b.png")
        common = {"model": NETWORK, "output": tmp_path / "out"}
        if recipe == "class_image" or recipe == "filter":
            command = generate_command
            common["iterations"] = 2
        else:
            command, common["images"] = explain_command, f"[{tmp_path}/a.png, {tmp_path}/b.png]"
        return command(CONFIGS / f"{recipe}.yaml", overrides({**common, **keys}))

    return call


@pytest.mark.parametrize(("recipe", "keys"), [
    ("class_image", {"target": 7}),
    ("filter", {"layer": "'none'"}),
    ("filter", {"layer": "'0'", "channel": 99}),
    ("filter", {"layer": "'0'", "channel": 1, "position": "[99, 0]"}),
    ("saliency", {"target": 7}),
    ("grad_cam", {"method.target_layer": "'none'"}),
    ("grad_cam", {"method.target_layer": "'6'"}),
    ("activation_gradient", {"method.layer": "'0'", "method.filter": 99}),
])  # fmt: skip
def test_mistakes_come_before_the_bar(run, bars, recipe, keys, capsys):
    assert run(recipe, **keys) == 2
    assert capsys.readouterr().err.startswith("error: ") and not bars


@pytest.mark.parametrize(("recipe", "keys"), [
    ("class_image", {"target": 1}),
    ("saliency", {"target": 1}),
])  # fmt: skip
def test_right_ones_have_a_bar(run, bars, recipe, keys):
    assert run(recipe, **keys) == 0
    assert [bar["unit"] for bar in bars] == ["it" if recipe == "class_image" else "image"]
