"""Wrong keys, types, numbers and overrides are refused. The message names the key."""

import pytest

from visualize_pd.app.config.schema import ExplainConfig, GenerateConfig
from visualize_pd.core.checks import did_you_mean


@pytest.mark.parametrize(
    "schema, text, bad, near",
    [
        (GenerateConfig, "iteration: 5", "iteration", "iterations"),
        (GenerateConfig, "learning-rate: 5", "learning-rate", "learning_rate"),
        (GenerateConfig, "lamda: 5", "lamda", "lambda"),
        (GenerateConfig, "priors: {shfit: 1}", "priors.shfit", "shift"),
        (GenerateConfig, "animation: {hold: 1}", "animation.hold", "hold_ms"),
        (ExplainConfig, "image: a.jpg", "image", "images"),
        (ExplainConfig, "Target: 1", "Target", "target"),
        (ExplainConfig, "model: {weight: a}", "model.weight", "weights"),
    ],
)
def test_unknown_key_suggests_the_most_similar_one(config_error, schema, text, bad, near):
    message = config_error(schema, text)
    assert f"'{bad}'" in message and f"'{near}'" in message


def test_unknown_key_without_a_similar_one_lists_all(config_error):
    message = config_error(GenerateConfig, "zzzz: 1")
    assert "zzzz" in message and "iterations" in message and "learning_rate" in message


@pytest.mark.parametrize("key", ["learning_rat=1", "priors.shfit=1", "model.nmae=x"])
def test_unknown_key_in_an_override(config_error, key):
    assert key.split("=")[0] in config_error(GenerateConfig, "{}", key)


def test_hint_suggests_the_most_similar_name_or_lists_twenty():
    assert did_you_mean("gard_cam", ["rise", "grad_cam"]) == "did you mean 'grad_cam'?"
    assert did_you_mean("x", (word for word in ("one", "two"))) == "known names are one, two"
    names = [f"layer{number}" for number in range(30)]
    assert did_you_mean("x", names) == f"known names are {', '.join(names[:20])}, …"


@pytest.mark.parametrize(
    "schema, text, key",
    [
        (GenerateConfig, "iterations: many", "iterations"),
        (GenerateConfig, "iterations: 1.5", "iterations"),
        (GenerateConfig, "iterations: true", "iterations"),
        (GenerateConfig, "iterations: [1]", "iterations"),
        (GenerateConfig, "iterations:", "iterations"),
        (GenerateConfig, "learning_rate: fast", "learning_rate"),
        (GenerateConfig, "learning_rate: '0.1'", "learning_rate"),
        (GenerateConfig, "learning_rate: false", "learning_rate"),
        (GenerateConfig, "target: 1.5", "target"),
        (GenerateConfig, "target: [1.5]", "target"),
        (GenerateConfig, "target: true", "target"),
        (GenerateConfig, "init: 5", "init"),
        (GenerateConfig, "priors: 5", "priors"),
        (GenerateConfig, "priors: []", "priors"),
        (GenerateConfig, "priors:", "priors"),
        (GenerateConfig, "output: 5", "output"),
        (GenerateConfig, "device: 0", "device"),
        (ExplainConfig, "images: 5", "images"),
        (ExplainConfig, "images: [a, 5]", "images"),
        (ExplainConfig, "images: [[a]]", "images"),
        (ExplainConfig, "images: {a: 1}", "images"),
        (ExplainConfig, "images: !!binary '////'", "images"),
        (ExplainConfig, "save_arrays: 1", "save_arrays"),
        (ExplainConfig, "save_arrays: sure", "save_arrays"),
        (ExplainConfig, "batch_size: 1e2", "batch_size"),
        (ExplainConfig, "method: 5", "method"),
        (ExplainConfig, "model: 5", "model"),
        (ExplainConfig, "model: [alexnet]", "model"),
        (ExplainConfig, "model: {name: 5}", "model.name"),
        (ExplainConfig, "model: {mean: 0.5}", "model.mean"),
        (ExplainConfig, "model: {mean: [a, b, c]}", "model.mean"),
        (ExplainConfig, "model: {num_classes: ten}", "model.num_classes"),
    ],
)
def test_wrong_type(config_error, schema, text, key):
    assert config_error(schema, text).startswith(f"{key} must be ")


@pytest.mark.parametrize(
    "override",
    [
        *(f"learning_rate={x}" for x in ("0", "0.0", "-0.1", ".nan", ".inf", "-.inf", "1e400")),
        *(f"lambda={x}" for x in ("-1", "-1e-9", ".nan", ".inf", "-.inf", "1e400")),
        *(f"iterations={x}" for x in ("0", "-1", "1e400", "-" + "9" * 30, "1" + "0" * 400)),
        *(f"priors.total_variation={x}" for x in ("-1", ".nan", ".inf")),
        *(f"init_std={x}" for x in ("-1", ".nan", ".inf")),
        "priors.shift=-1",
        "seed=-1",
        "frames.every=0",
        "frames.every=-3",
        "animation.frame_ms=0",
        "animation.hold_ms=-5",
        "model.num_classes=0",
        "model.image_size=0",
        "model.image_size=-224",
        "model.mean=[.nan, 0, 0]",
        "model.std=[.inf, 1, 1]",
    ],
)
def test_number_out_of_bounds(config_error, override):
    assert override.split("=")[0] in config_error(GenerateConfig, "{}", override)


@pytest.mark.parametrize(
    "override",
    [
        "animation.frame_ms=655351",  # a GIF stores at most 65535 hundredths of a second
        "animation.hold_ms=655351",
        "model.image_size=1000000",  # an image of twelve terabytes
        f"model.image_size={10**30}",
    ],
)
def test_number_too_large_for_any_run(config_error, override):
    assert override.split("=")[0] in config_error(GenerateConfig, "{}", override)


@pytest.mark.parametrize("batch_size", ["0", "-1"])
def test_batch_size_below_one(config_error, batch_size):
    assert "batch_size" in config_error(ExplainConfig, "{}", f"batch_size={batch_size}")


@pytest.mark.parametrize(
    "text", ["target: 1\ntarget: 2", "priors: {shift: 1, shift: 2}", "model: {name: a, name: b}"]
)
def test_key_given_twice(config_error, text):
    assert "twice" in config_error(GenerateConfig, text)


@pytest.mark.parametrize(
    "override", ["target", "=1", "", ".=1", "a.=1", ".a=1", "priors..shift=1", " =1"]
)
def test_override_without_key_or_value(config_error, override):
    assert "key=value" in config_error(GenerateConfig, "{}", override)


@pytest.mark.parametrize("override", ["iterations.x=1", "model.name.x=1"])
def test_override_of_a_key_below_a_plain_value(config_error, override):
    assert "is a value" in config_error(GenerateConfig, "{iterations: 5, model: a}", override)


def test_override_nested_too_deeply(config_error):
    key = ".".join(["target"] * 5000)
    assert config_error(GenerateConfig, "{target: {}}", f"{key}=1").startswith("target must be ")
