"""The command says what it can do, and every key of a config stands in its help."""

import dataclasses
import typing

import pytest

from visualize_pd.app.commands.evaluate import MEASURES, evaluate_command
from visualize_pd.app.commands.main import main
from visualize_pd.app.config import schema

COMMANDS = {
    "explain": schema.ExplainConfig,
    "generate": schema.GenerateConfig,
    "concepts": schema.ConceptsConfig,
    "evaluate methods": schema.EvaluateConfig,
    "evaluate localise": schema.LocaliseConfig,
    "evaluate sanity": schema.SanityConfig,
}


def keys(kind, prefix=""):
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = prefix + (field.metadata["name"] or field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys(hints[field.name], f"{name}.")
        else:
            yield name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_every_key(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command.split(), "--help"])
    output = capsys.readouterr().out
    assert stop.value.code == 0 and f"usage: visualize-pd {command} " in output
    told = [
        line.split()[0] for line in output.splitlines() if line.startswith("  ") and line.strip()
    ]
    for name in keys(COMMANDS[command]):
        assert name in told
    assert "](" not in output and "`" not in output


def test_help_tells_of_top3(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    assert "-o target=top3" in capsys.readouterr().out


def test_the_command_alone_says_what_it_can_do(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    output = capsys.readouterr().out
    assert stop.value.code == 0
    for name in ("explain", "generate", "concepts", "evaluate", "models", "methods", "weights"):
        assert f"\n  {name} " in output


def test_evaluate_alone_says_what_it_can_measure(capsys):
    assert evaluate_command([]) == 0
    output = capsys.readouterr().out
    assert all(f"\n  {name} " in output for name in MEASURES)
