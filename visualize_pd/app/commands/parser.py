"""The arguments that several commands share: `--config` and `-o`, and their help."""

from __future__ import annotations

import argparse
import dataclasses
import os
import textwrap
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ..config.reading import load_config
from .terminal import exit_code

# Keys that name sample pictures in the project's configs, and what a person may give instead.
SAMPLES = {"images": "photo.jpg", "init": "photo.jpg", "truth": "null"}


def default_config(name: str) -> Path:
    """A config of the project: as the install brings it, or of the clone that this runs from."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "configs" / name
    return installed if os.path.isfile(installed) else package.parent / "configs" / name


def plain_parser(prog: str | None, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser that prints its epilog as it is."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=raw
    )


def config_parser(
    default: Path, schema: type, description: str, examples: str, command: str | None = None
) -> argparse.ArgumentParser:
    """A parser of `--config` and `-o`; its help lists the keys of the config."""
    keys = "\n".join(_key_lines(schema))
    parser = plain_parser(command, description, f"{examples}\nkeys (-o KEY=VALUE):\n{keys}")
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=default,
        help=f"YAML file (default: {default.parent.name}/{default.name})",
    )
    parser.add_argument(
        "-o",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="replace a key of the config; dots go into groups; may be repeated",
    )
    return parser


def _key_lines(schema: type, prefix: str = "") -> Iterator[str]:
    """A line or more for each key of a config."""
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        name = prefix + (field.metadata["name"] or field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _key_lines(hints[field.name], f"{name}.")
        else:
            meaning = field.metadata["meaning"].replace("`", "")
            yield from textwrap.wrap(
                f"{name:24}{meaning}", 96, initial_indent="  ", subsequent_indent=" " * 26
            )


def run_command(
    parser: argparse.ArgumentParser,
    schema: type,
    run: Callable[[Any, argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the arguments and the config, run with it, and return the exit code."""
    options = parser.parse_args(arguments)

    def configured() -> int:
        config = load_config(schema, _existing(options.config), options.overrides)
        _check_samples(config)
        return run(config, options)

    return exit_code(configured)


def _existing(config: Path) -> Path:
    """The config; where there is no `configs/` here, the project's own config of that name."""
    own = default_config(config.name)
    ours = config.parent == Path("configs") and not os.path.exists(config) and os.path.isfile(own)
    return own if ours else config


def _check_samples(config: Any) -> None:
    """Raise `ConfigError` for sample pictures where there are none: only a clone has them."""
    samples = Path("content/images")
    for key, instead in SAMPLES.items():
        sources = getattr(config, key, None)
        for source in sources if isinstance(sources, list) else [sources]:
            if samples in (Path(str(source)), *Path(str(source)).parents) and not samples.exists():
                raise ConfigError(
                    f"{key} is {source}, which only a clone of the project has; "
                    f"replace it: -o {key}={instead}"
                )
