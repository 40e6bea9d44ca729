"""Values of a YAML file and of `-o key=value` arrive in the config, with the right type."""

import math

import pytest

from visualize_pd.app.config.schema import ExplainConfig, GenerateConfig
from visualize_pd.core.config import as_dict, build

BOTH = [ExplainConfig, GenerateConfig]


def test_override_replaces_the_value_of_the_file(read_config):
    text = "target: 7\nlambda: 0.5\npriors: {shift: 3}\n"
    config = read_config(GenerateConfig, text, "lambda=0.25", "priors.total_variation=2", "seed=9")
    assert (config.target, config.l2, config.seed) == (7, 0.25, 9)
    assert (config.priors.shift, config.priors.total_variation) == (3, 2.0)
    assert isinstance(config.priors.total_variation, float)


def test_last_override_wins(read_config):
    assert read_config(GenerateConfig, "{}", "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("1E-3", 1e-3),
        ("1.e-3", 1e-3),
        (".5e-2", 5e-3),
        ("+2e1", 20.0),
        ("3", 3.0),
        ("0.125", 0.125),
        ("1e-320", 1e-320),
    ],
)
def test_number_in_every_notation(read_config, text, value):
    assert read_config(GenerateConfig, f"lambda: {text}").l2 == value
    assert read_config(GenerateConfig, "{}", f"lambda={text}").l2 == value


@pytest.mark.parametrize(
    "override, value",
    [
        ("images=a.jpg", "a.jpg"),
        ("images=[a.jpg, b c.png]", ["a.jpg", "b c.png"]),
        ("images=a=b.jpg", "a=b.jpg"),
        ('images="1e3"', "1e3"),
        ("images=été.jpg", "été.jpg"),
    ],
)
def test_override_is_read_as_yaml(read_config, override, value):
    assert read_config(ExplainConfig, "{}", override).images == value


@pytest.mark.parametrize("text, value", [("true", True), ("false", False)])
def test_boolean(read_config, text, value):
    assert read_config(ExplainConfig, "{}", f"save_arrays={text}").save_arrays is value


@pytest.mark.parametrize("schema", BOTH)
def test_model_is_a_name_or_a_group(read_config, schema):
    by_name = read_config(schema, "model: resnet18").model
    assert by_name == read_config(schema, "model: {name: resnet18}").model
    assert by_name.name == "resnet18"
    text = "model: {name: m:f, weights: w.pdparams, fallback: alexnet, num_classes: 7}"
    model = read_config(schema, text).model
    assert (model.name, model.weights, model.fallback) == ("m:f", "w.pdparams", "alexnet")
    assert model.num_classes == 7


def test_override_of_a_key_below_a_model_name(read_config):
    model = read_config(GenerateConfig, "model: resnet18", "model.weights=random").model
    assert (model.name, model.weights) == ("resnet18", "random")


def test_override_of_the_whole_model(read_config):
    config = read_config(GenerateConfig, "model: {name: alexnet, weights: a.pth}", "model=resnet18")
    assert (config.model.name, config.model.weights) == ("resnet18", "auto")


def test_method_is_a_name_or_a_group(read_config):
    assert read_config(ExplainConfig, "method: gradient").method == "gradient"
    method = read_config(ExplainConfig, "method: gradient", "method.sign=positive").method
    assert method == {"name": "gradient", "sign": "positive"}


@pytest.mark.parametrize(
    "override, value",
    [("lambda=0", 0.0), ("init_std=0", 0.0), ("lambda=1e30", 1e30)],
)
def test_number_on_its_bound_is_allowed(read_config, override, value):
    config = as_dict(read_config(GenerateConfig, "{}", override))
    assert config[override.split("=")[0]] == value and math.isfinite(value)


@pytest.mark.parametrize("schema", BOTH)
def test_as_dict_and_build_are_inverse(schema):
    config = build(schema, {"output": "elsewhere", "model": {"name": "x", "mean": [1, 2, 3]}})
    again = build(schema, as_dict(config))
    assert again == config
    assert again.output == "elsewhere" and again.model.mean == [1.0, 2.0, 3.0]
    assert as_dict(again) == as_dict(config)


def test_as_dict_uses_the_yaml_names():
    plain = as_dict(build(GenerateConfig, {"lambda": 0.5}))
    assert plain["lambda"] == 0.5 and "l2" not in plain
    assert isinstance(plain["priors"], dict) and isinstance(plain["model"], dict)
