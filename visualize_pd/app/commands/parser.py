"""The arguments that several commands share, `--config` and `-o`, with their help."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import textwrap
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.config import build
from ...core.errors import ConfigError, errors_of
from ..config.reading import apply_overrides, default_config, load_config, read_values
from ..streams import protect_streams
from .terminal import exit_code

# Keys whose values in the project's configs are sample pictures, and values that can replace them.
SAMPLES = {"images": "photo.jpg", "new_images": "null", "init": "photo.jpg", "truth": "null"}


def plain_parser(prog: str | None, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that prints its epilog unchanged."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=raw
    )


def config_parser(
    default: Path,
    schema: type,
    description: str,
    examples: str,
    command: str | None = None,
    several: bool = False,
) -> argparse.ArgumentParser:
    """A parser of `--config` and `-o`. Its help lists the keys of the config.

    With `several`, any number of configs may follow `--config`, for `run_with_configs`.
    """
    keys = "\n".join(_key_lines(schema))
    parser = plain_parser(command, description, f"{examples}\nkeys (-o KEY=VALUE):\n{keys}")
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        nargs="+" if several else None,
        default=[default] if several else default,
        help=f"YAML file{'s' * several} (default: {default.parent.name}/{default.name})",
    )
    parser.add_argument(
        "-o",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set a key of the config, with a dot for a key in a group; may be repeated",
    )
    return parser


def _key_lines(schema: type, prefix: str = "") -> Iterator[str]:
    """One or more lines of help for each key of a config."""
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        name = prefix + (field.metadata["name"] or field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _key_lines(hints[field.name], f"{name}.")
        else:
            meaning = re.sub(r"\[(\w+)\]\(.*?\)", r"docs/\1", field.metadata["meaning"])
            meaning = meaning.replace("`", "")
            yield from textwrap.wrap(
                f"{name:26}{meaning}", 96, initial_indent="  ", subsequent_indent=" " * 28
            )


def run_command(
    parser: argparse.ArgumentParser,
    schema: type,
    run: Callable[[Any, argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
    needs_samples: bool = True,
) -> int:
    """Read the arguments and the config, call `run` with them, and return the exit code.

    With `needs_samples`, sample pictures that the config names must exist.
    """
    protect_streams()
    options = parser.parse_args(arguments)

    def configured() -> int:
        config = load_config(schema, _existing(options.config), options.overrides)
        if needs_samples:
            _check_samples(config)
        return run(config, options)

    return exit_code(configured)


def run_with_configs(
    parser: argparse.ArgumentParser,
    schema: type,
    run: Callable[[dict[Path, Any], argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
) -> int:
    """As `run_command` with several configs: `run` gets them by their paths.

    The overrides apply to each of them. What one refuses is told with its path.
    """
    protect_streams()
    options = parser.parse_args(arguments)

    def configured() -> int:
        configs = {}
        for path in options.config:
            values = read_values(_existing(path))
            with errors_of(str(path)):
                configs[path] = build(schema, apply_overrides(values, options.overrides))
                _check_samples(configs[path])
        return run(configs, options)

    return exit_code(configured)


def _existing(config: Path) -> Path:
    """The config. If `configs/name` does not exist here, the config of that name in the project."""
    project = default_config(config.name)
    missing = config.parent == Path("configs") and not os.path.exists(config)
    return project if missing and os.path.isfile(project) else config


def _check_samples(config: Any) -> None:
    """Raise `ConfigError` if the sample pictures are used but missing. Only a clone has them."""
    samples = Path("content/images")
    for key, instead in SAMPLES.items():
        sources = getattr(config, key, None)
        for source in sources if isinstance(sources, list) else [sources]:
            if samples in (Path(str(source)), *Path(str(source)).parents) and not samples.exists():
                raise ConfigError(
                    f"{key} is {source}, which only a clone of the project has; "
                    f"replace it: -o {key}={instead}"
                )
