"""The YAML files, `-o key=value`, and what is refused in them."""

import math
import re
from itertools import takewhile
from pathlib import Path

import pytest

from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import (
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    LocaliseConfig,
    SanityConfig,
)
from visualize_pd.core.checks import did_you_mean
from visualize_pd.core.config import as_dict, build
from visualize_pd.core.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
BOTH = [ExplainConfig, GenerateConfig]


@pytest.fixture
def read(tmp_path):
    """Write a YAML text, load it with overrides."""

    def read(schema, text="", *overrides):
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(schema, path, overrides)

    return read


@pytest.fixture
def refused(read):
    """Load a text that must be refused; return the message, which is one short line."""

    def refused(schema, text="{}", *overrides):
        with pytest.raises(ConfigError) as caught:
            read(schema, text, *overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refused


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_opens_with_paper_command_and_expectation(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    head = "\n".join(takewhile(lambda line: line.startswith("#"), lines))
    assert re.search(r"\b(19|20)\d\d\b", head), "a paper and its year"
    commands = re.findall(
        r"python (?:method_[12]_pp\.py|-m visualize_pd\.evaluate \w+)(?: --config configs/(\S+))?",
        head,
    )
    assert commands, "a command"
    default = "saliency.yaml" if "method_1" in head else "class_image.yaml"
    assert (commands[-1] or default) == path.name, "the command runs this very file"
    assert re.search(r"^# Expect", head, re.MULTILINE)


SCHEMAS = {
    "method_1_pp": ExplainConfig,
    "method_2_pp": GenerateConfig,
    "evaluate methods": EvaluateConfig,
    "evaluate localise": LocaliseConfig,
    "evaluate sanity": SanityConfig,
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_loads(path):
    text = path.read_text(encoding="utf-8")
    schema = next(schema for command, schema in SCHEMAS.items() if command in text)
    config = load_config(schema, path)
    assert isinstance(config, schema)
    assert build(schema, as_dict(config)) == config


@pytest.mark.parametrize(
    "schema, keys",
    [
        (ExplainConfig, "images target method save_arrays batch_size"),
        (GenerateConfig, "target iterations learning_rate lambda seed init"),
        (GenerateConfig, "priors frames animation"),
        (ExplainConfig, "model device output"),
        (GenerateConfig, "model device output"),
    ],
)
def test_documented_keys_exist(schema, keys):
    assert set(keys.split()) <= set(as_dict(schema()))


def test_values_of_a_file_and_of_overrides(read):
    text = "target: 7\nlambda: 0.5\npriors: {shift: 3}\n"
    config = read(GenerateConfig, text, "lambda=0.25", "priors.total_variation=2", "seed=9")
    assert (config.target, config.l2, config.seed) == (7, 0.25, 9)
    assert (config.priors.shift, config.priors.total_variation) == (3, 2.0)
    assert isinstance(config.priors.total_variation, float)


def test_a_later_override_wins(read):
    assert read(GenerateConfig, "{}", "seed=1", "seed=2").seed == 2


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
def test_numbers_of_every_form(read, text, value):
    assert read(GenerateConfig, f"lambda: {text}").l2 == value
    assert read(GenerateConfig, "{}", f"lambda={text}").l2 == value


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
def test_overrides_are_typed_as_yaml(read, override, value):
    assert read(ExplainConfig, "{}", override).images == value


@pytest.mark.parametrize("text, value", [("true", True), ("false", False)])
def test_booleans(read, text, value):
    assert read(ExplainConfig, "{}", f"save_arrays={text}").save_arrays is value


@pytest.mark.parametrize("schema", BOTH)
def test_model_is_a_name_or_a_group(read, schema):
    by_name = read(schema, "model: resnet18").model
    assert by_name == read(schema, "model: {name: resnet18}").model
    assert by_name.name == "resnet18"
    text = "model: {name: m:f, weights: w.pdparams, fallback: alexnet, num_classes: 7}"
    model = read(schema, text).model
    assert (model.name, model.weights, model.fallback) == ("m:f", "w.pdparams", "alexnet")
    assert model.num_classes == 7


def test_override_below_a_model_given_by_name(read):
    model = read(GenerateConfig, "model: resnet18", "model.weights=random").model
    assert (model.name, model.weights) == ("resnet18", "random")


def test_override_of_the_whole_model(read):
    config = read(GenerateConfig, "model: {name: alexnet, weights: a.pth}", "model=resnet18")
    assert (config.model.name, config.model.weights) == ("resnet18", "auto")


def test_method_is_a_name_or_a_group(read):
    assert read(ExplainConfig, "method: gradient").method == "gradient"
    method = read(ExplainConfig, "method: gradient", "method.sign=positive").method
    assert method == {"name": "gradient", "sign": "positive"}


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
def test_unknown_key_names_the_nearest(refused, schema, text, bad, near):
    message = refused(schema, text)
    assert f"'{bad}'" in message and f"'{near}'" in message


def test_unknown_key_unlike_all_others_lists_them(refused):
    message = refused(GenerateConfig, "zzzz: 1")
    assert "zzzz" in message and "iterations" in message and "learning_rate" in message


@pytest.mark.parametrize("key", ["learning_rat=1", "priors.shfit=1", "model.nmae=x"])
def test_unknown_key_in_an_override(refused, key):
    assert key.split("=")[0] in refused(GenerateConfig, "{}", key)


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
def test_wrong_type(refused, schema, text, key):
    assert refused(schema, text).startswith(f"{key} must be ")


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
def test_number_out_of_bounds(refused, override):
    assert override.split("=")[0] in refused(GenerateConfig, "{}", override)


@pytest.mark.parametrize(
    "override",
    [
        "animation.frame_ms=655351",  # a GIF counts to 65535 hundredths of a second
        "animation.hold_ms=655351",
        "model.image_size=1000000",  # twelve terabytes
        f"model.image_size={10**30}",
    ],
)
def test_number_that_no_run_could_use(refused, override):
    assert override.split("=")[0] in refused(GenerateConfig, "{}", override)


@pytest.mark.parametrize(
    "override, value",
    [("lambda=0", 0.0), ("init_std=0", 0.0), ("lambda=1e30", 1e30)],
)
def test_bounds_themselves_are_allowed(read, override, value):
    config = as_dict(read(GenerateConfig, "{}", override))
    assert config[override.split("=")[0]] == value and math.isfinite(value)


@pytest.mark.parametrize("batch_size", ["0", "-1"])
def test_batch_size_below_one(refused, batch_size):
    assert "batch_size" in refused(ExplainConfig, "{}", f"batch_size={batch_size}")


@pytest.mark.parametrize(
    "text", ["target: 1\ntarget: 2", "priors: {shift: 1, shift: 2}", "model: {name: a, name: b}"]
)
def test_key_that_stands_twice(refused, text):
    assert "twice" in refused(GenerateConfig, text)


@pytest.mark.parametrize(
    "override", ["target", "=1", "", ".=1", "a.=1", ".a=1", "priors..shift=1", " =1"]
)
def test_override_without_key_or_value(refused, override):
    assert "key=value" in refused(GenerateConfig, "{}", override)


@pytest.mark.parametrize("override", ["iterations.x=1", "model.name.x=1"])
def test_override_into_a_value(refused, override):
    assert "is a value" in refused(GenerateConfig, "{iterations: 5, model: a}", override)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "{",
        "a: b: c",
        "\ta: 1",
        "a: @",
        "target: *nowhere",
        "? [1]\n: 2",
        "1.5: 2",
        "%YAML 9.9\n---\ntarget: 1",
        "{}\n---\n{}",
        "target: \x01",
        "seed: 2001-99-99",
        "seed: " + "9" * 5000,
        "seed: 0x" + "f" * 5000,  # which Python reads, but does not write
        "target: {tiger: 0x" + "f" * 5000 + "}",
        "seed: !!int x",
        "seed: !!float x",
        "seed: !!bool x",
        "seed: !!timestamp x",
        "priors: !!map [a]",
        "priors: !!set [a]",
        "priors: !!omap [a]",
        "target: !unheard of",
        "target: " + "[" * 3000 + "]" * 3000,
        "target: " + "[" * 100_000,
        "target: " + "{a: " * 3000 + "1" + "}" * 3000,
    ],
    ids=lambda text: repr(text[:24]),
)
def test_broken_yaml(refused, text):
    assert "config.yaml" in refused(GenerateConfig, text)


def test_broken_yaml_names_the_line(refused):
    assert "line 3" in refused(GenerateConfig, "seed: 1\ntarget: 2\ninit: *nowhere\n")


@pytest.mark.parametrize("text", ["[", "!!bool x", "!!timestamp x", "!!map [a]", "*x", "9" * 5000])
def test_broken_yaml_in_an_override(refused, text):
    assert "seed" in refused(GenerateConfig, "{}", f"seed={text}")


@pytest.mark.parametrize(
    "body",
    [
        "!!python/object/apply:os.system ['touch marker']",
        "!!python/object/new:os.system ['touch marker']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object/apply:subprocess.call [[touch, marker]]",
    ],
)
def test_yaml_tags_run_nothing(refused, tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    refused(ExplainConfig, f"images: {body}")
    refused(ExplainConfig, "{}", f"images={body}")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("key", ["images", "target", "device"])
def test_a_value_that_unfolds_to_millions_is_refused_quickly(refused, time_limit, key):
    lines = [f"{key}:", " - &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        lines.append(f" - &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with time_limit(2):
        assert len(refused(ExplainConfig, "\n".join(lines))) < 300


@pytest.mark.parametrize(
    "schema, group",
    [
        (ExplainConfig, "method: {name: saliency, score: %s}"),
        (ExplainConfig, "compare: [{name: %s}]"),
        (EvaluateConfig, "methods: [{name: grad_cam, zooms: %s}]"),
        (GenerateConfig, "target: {tiger: %s}"),
    ],
)
@pytest.mark.parametrize("item", ["x", "[]", "{}"])
def test_a_group_that_unfolds_to_millions_is_refused_quickly(
    refused, time_limit, schema, group, item
):
    lists = [f"&a0 [{', '.join([item] * 10)}]"]
    lists += [f"&a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    with time_limit(2):
        message = refused(schema, group % f"[{', '.join(lists)}]")
    assert " must be a " in message and len(message) < 300


@pytest.mark.parametrize("key", ["images", "target", "output"])
def test_a_value_that_holds_itself_is_refused(refused, key):
    assert refused(ExplainConfig, f"{key}: &a [*a]").startswith(f"{key} must be ")


@pytest.mark.parametrize(
    "schema, text",
    [
        (ExplainConfig, "method: &a {name: smooth_grad, of: *a}"),
        (GenerateConfig, "target: &a {tiger: *a}"),
        (GenerateConfig, "target: {tiger: &a [*a]}"),
        (GenerateConfig, "target: {tiger: " + "[" * 100 + "]" * 100 + "}"),
        (GenerateConfig, "target: {tiger: 2001-01-01}"),
        (GenerateConfig, "target: {tiger: !!binary aGk=}"),
        (GenerateConfig, "target: {tiger: !!omap [a: 1]}"),
    ],
)
def test_a_group_that_cannot_be_written_down_is_refused(refused, schema, text):
    key = text.partition(":")[0]
    assert refused(schema, text).startswith(f"{key} must be ")


def test_an_override_that_goes_too_deep_is_refused(refused):
    key = ".".join(["target"] * 5000)
    assert refused(GenerateConfig, "{target: {}}", f"{key}=1").startswith("target must be ")


@pytest.mark.parametrize("text", ["", "# only a comment", "- a", "word", "5", "null", "[]"])
def test_file_without_keys(refused, text):
    assert "config.yaml" in refused(GenerateConfig, text)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"init: caf\xe9.png", "target: 1".encode("utf-16")]
)
def test_file_that_is_no_utf8_text(refused, content):
    assert "UTF-8" in refused(GenerateConfig, content)


def test_byte_order_mark_is_no_part_of_the_first_key(read):
    assert read(GenerateConfig, b"\xef\xbb\xbftarget: 3\n").target == 3


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "", "a\0b", "x" * 300, "file/below.yaml"])
def test_file_that_cannot_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="config file"):
        load_config(GenerateConfig, name)


def test_hint_names_the_nearest_or_at_most_twenty():
    assert did_you_mean("gard_cam", ["rise", "grad_cam"]) == "did you mean 'grad_cam'?"
    assert did_you_mean("x", (word for word in ("one", "two"))) == "known are one, two"
    names = [f"layer{number}" for number in range(30)]
    assert did_you_mean("x", names) == f"known are {', '.join(names[:20])}, …"
