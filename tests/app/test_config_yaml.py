"""Broken, hostile or huge YAML is refused quickly with one line. It never runs code."""

import pytest

from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import EvaluateConfig, ExplainConfig, GenerateConfig
from visualize_pd.core.errors import ConfigError


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
        "seed: 0x" + "f" * 5000,  # Python reads such a number but does not print it
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
def test_broken_yaml(config_error, text):
    assert "config.yaml" in config_error(GenerateConfig, text)


def test_broken_yaml_reports_the_line_number(config_error):
    assert "line 3" in config_error(GenerateConfig, "seed: 1\ntarget: 2\ninit: *nowhere\n")


@pytest.mark.parametrize("text", ["[", "!!bool x", "!!timestamp x", "!!map [a]", "*x", "9" * 5000])
def test_broken_yaml_in_an_override(config_error, text):
    assert "seed" in config_error(GenerateConfig, "{}", f"seed={text}")


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
def test_yaml_tags_run_no_code(config_error, tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    config_error(ExplainConfig, f"images: {body}")
    config_error(ExplainConfig, "{}", f"images={body}")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("key", ["images", "target", "device"])
def test_value_that_expands_to_millions_is_refused_quickly(config_error, time_limit, key):
    lines = [f"{key}:", " - &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        lines.append(f" - &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with time_limit(2):
        assert len(config_error(ExplainConfig, "\n".join(lines))) < 300


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
def test_group_that_expands_to_millions_is_refused_quickly(
    config_error, time_limit, schema, group, item
):
    lists = [f"&a0 [{', '.join([item] * 10)}]"]
    lists += [f"&a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    with time_limit(2):
        message = config_error(schema, group % f"[{', '.join(lists)}]")
    assert " must be a " in message and len(message) < 300


@pytest.mark.parametrize("key", ["images", "target", "output"])
def test_value_that_contains_itself_is_refused(config_error, key):
    assert config_error(ExplainConfig, f"{key}: &a [*a]").startswith(f"{key} must be ")


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
def test_group_that_cannot_be_written_to_yaml_is_refused(config_error, schema, text):
    key = text.partition(":")[0]
    assert config_error(schema, text).startswith(f"{key} must be ")


@pytest.mark.parametrize("text", ["", "# only a comment", "- a", "word", "5", "null", "[]"])
def test_file_without_keys(config_error, text):
    assert "config.yaml" in config_error(GenerateConfig, text)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"init: caf\xe9.png", "target: 1".encode("utf-16")]
)
def test_file_that_is_not_utf8(config_error, content):
    assert "UTF-8" in config_error(GenerateConfig, content)


def test_byte_order_mark_is_ignored(read_config):
    assert read_config(GenerateConfig, b"\xef\xbb\xbftarget: 3\n").target == 3


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "", "a\0b", "x" * 300, "file/below.yaml"])
def test_file_that_cannot_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="config file"):
        load_config(GenerateConfig, name)
