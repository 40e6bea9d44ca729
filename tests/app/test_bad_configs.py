"""A bad config file, option or value: one line `error: …`, exit code 2 and no file written.

The fixture `run_error` checks that for each case; the tests check what the line says.
"""

from pathlib import Path

import pytest
from app_helpers import EXPLAIN, GENERATE, SCRIPTS, contents, stderr_lines

from visualize_pd.core.runtime import gpu_count


@pytest.mark.parametrize("script", SCRIPTS)
def test_unchanged_quick_run_succeeds(run_quick, script):
    """The other tests change a setting of this run. If it failed, they would prove nothing."""
    code, out, err = run_quick(script)
    assert code == 0 and stderr_lines(err) == []
    assert out.count("→") == 1 and any(path.parts[0] == "out" for path in contents(Path()))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "content, says",
    [
        (None, "no such config file"),
        (b"", "keys and values"),
        (b"- a\n- b\n", "keys and values"),
        (b"images: [", "not valid YAML"),
        (b"\x89PNG\r\n\x1a\n\0", "UTF-8"),
        (b"output: caf\xe9", "UTF-8"),
        (b"outptu: here", "'output'"),
        (b"output: a\noutput: b", "twice"),
        (b"output: !!python/object/apply:os.system ['touch marker']", "not valid YAML"),
        (b"device: " + b"[" * 3000, "not valid YAML"),
    ],
)
def test_bad_config_file(run_error, script, content, says):
    if content is not None:
        Path("bad.yaml").write_bytes(content)
    assert says in run_error(script, arguments=["--config", "bad.yaml"])
    assert not Path("marker").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_config_file_is_a_folder(run_error, script):
    Path("folder.yaml").mkdir()
    assert "folder.yaml: Is a directory" in run_error(script, arguments=["--config", "folder.yaml"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_config_file_name_is_too_long(run_error, script):
    name = f"configs/{'x' * 300}.yaml"
    assert name in run_error(script, arguments=["--config", name])


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("arguments", [["stray"], ["--unknown"], ["-o"], ["--config"]])
def test_wrong_command_line_arguments(run_quick, script, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run_quick(script, arguments=arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "script, key, value, says",
    [
        (GENERATE, "learning_rate", "0", "learning_rate must be greater than 0"),
        (GENERATE, "learning_rate", "-1", "learning_rate must be greater than 0"),
        (GENERATE, "learning_rate", ".nan", "learning_rate must be a finite number"),
        (GENERATE, "learning_rate", ".inf", "learning_rate must be a finite number"),
        (GENERATE, "lambda", ".nan", "lambda must be a finite number"),
        (GENERATE, "lambda", "-.inf", "lambda must be a finite number"),
        (GENERATE, "lambda", "-0.1", "lambda must be at least 0"),
        (GENERATE, "init_std", ".nan", "init_std must be a finite number"),
        (GENERATE, "iterations", "0", "iterations must be at least 1"),
        (GENERATE, "iterations", "1e400", "iterations must be a whole number"),
        (GENERATE, "iterations", "1" + "0" * 400, "iterations"),
        (GENERATE, "iterations", "9" * 5000, "iterations"),
        (GENERATE, "iterations", "many", "iterations must be a whole number"),
        (GENERATE, "frames.every", "0", "frames.every must be at least 1"),
        (GENERATE, "priors.shift", "-1", "priors.shift must be at least 0"),
        (GENERATE, "priors.shift", str(10**20), "shift"),
        (GENERATE, "animation.frame_ms", "1000000", "animation.frame_ms"),
        (GENERATE, "animation.hold_ms", "0", "animation.hold_ms must be at least 20"),
        (GENERATE, "seed", "-1", "seed must be at least 0"),
        (GENERATE, "itrations", "5", "did you mean 'iterations'?"),
        (GENERATE, "priors.tv", "5", "priors.tv"),
        (EXPLAIN, "batch_size", "0", "batch_size must be at least 1"),
        (EXPLAIN, "save_arrays", "5", "save_arrays must be true or false"),
        (EXPLAIN, "metod", "saliency", "did you mean 'method'?"),
    ],
)
def test_bad_value(run_error, script, key, value, says):
    assert says in run_error(script, {key: value})


def test_unknown_key_with_a_line_break_is_reported_in_one_line(run_error):
    assert "unknown key" in run_error(EXPLAIN, {"some\nkey": "1"})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "device, says",
    [
        ("tpu", "unknown device 'tpu'"),
        ("CPU", "unknown device 'CPU'"),
        ("cpu:0", "unknown device"),
        ("auto:0", "unknown device"),
        ("gpu:-1", "unknown device"),
        ("gpu:x", "unknown device"),
        ("gpu:²", "device"),
        ("gpu:99", "gpu:99"),
        ("'gpu:" + "9" * 5000 + "'", "device"),
        ("''", "unknown device"),
        ("0", "device must be a text"),
    ],
)
def test_bad_device(run_error, script, device, says):
    assert says in run_error(script, {"device": device})


@pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU")
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("device", ["gpu", "gpu:0"])
def test_gpu_is_asked_for_where_there_is_none(run_error, script, device):
    assert "no GPU" in run_error(script, {"device": device})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("output", ["", "5", "[a]", "null"])
def test_output_is_not_a_text(run_error, script, output):
    assert "output must be a text" in run_error(script, {"output": output})
