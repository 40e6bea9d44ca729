"""The command line that the two scripts share."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .config import ExplainConfig, GenerateConfig, load_config
from .errors import ConfigError, VisualizeError

DONE, PARTLY, FAILED, INTERRUPTED = 0, 1, 2, 130

EXPLAIN_EXAMPLES = """\
examples:
  {command} --config configs/saliency.yaml
  {command} -o images=cat.jpg -o target="tabby cat" -o output=/tmp/out
  {command} -o model=efficientnet_lite0 -o method=grad_times_input
  {command} -o 'images=[a.jpg, holiday/*.png]' -o save_arrays=true
"""
GENERATE_EXAMPLES = """\
examples:
  {command}
  {command} -o target=toucan -o iterations=320
  {command} --config configs/class_image_paper.yaml -o lambda=0.01
  {command} -o target="[flamingo, toucan]" -o animation.score=true
  {command} -o init=dog.jpg -o priors.shift=0 --resume
"""
# Keys whose pictures in the project's configs come with a clone, and what else they may be.
SAMPLES = {"images": "photo.jpg", "init": "photo.jpg", "truth": "null"}


def default_config(name: str) -> Path:
    """A config of the project, as an install brings it or in the clone that this runs from."""
    package = Path(__file__).resolve().parent
    installed = package / "configs" / name
    return installed if os.path.isfile(installed) else package.parent / "configs" / name


def explain_command(
    default: Path,
    arguments: Sequence[str] | None = None,
    command: str = "python method_1_pp.py",
) -> int:
    """method_1: explain images; the exit code is 1 where some of them had to be skipped."""
    from .explain import explain

    def run(config: ExplainConfig, _options: argparse.Namespace) -> int:
        done, skipped = explain(config, say, complain)
        if not done:
            raise VisualizeError("no image could be explained")
        return PARTLY if skipped else DONE

    description = "Explain images: which pixels made the network give this score to this class?"
    parser = command_parser(default, description, EXPLAIN_EXAMPLES.format(command=command), command)
    return carry_out(parser, ExplainConfig, run, arguments)


def generate_command(
    default: Path,
    arguments: Sequence[str] | None = None,
    command: str = "python method_2_pp.py",
) -> int:
    """method_2: generate an image of a class, and its animation."""
    from .generate import generate

    def run(config: GenerateConfig, options: argparse.Namespace) -> int:
        return DONE if generate(config, say, options.resume) else INTERRUPTED

    description = "Generate an image: what does the network think that this class looks like?"
    parser = command_parser(
        default, description, GENERATE_EXAMPLES.format(command=command), command
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from where an interrupted run was"
    )
    return carry_out(parser, GenerateConfig, run, arguments)


def command_parser(
    default: Path, description: str, examples: str, command: str | None = None
) -> argparse.ArgumentParser:
    """A parser of `--config` and `-o`, which every command has."""
    parser = argparse.ArgumentParser(
        prog=command,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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


def carry_out(
    parser: argparse.ArgumentParser,
    schema: type,
    run: Callable[[Any, argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the config, run with it, and return the exit code; a person's error is one sentence."""
    options = parser.parse_args(arguments)

    def configured() -> int:
        config = load_config(schema, _found(options.config), options.overrides)
        _check_samples(config)
        return run(config, options)

    return exit_code(configured)


def exit_code(run: Callable[[], int]) -> int:
    """Run a command in a terminal's manner: a person's error is one sentence."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack →
    _announce()
    try:
        return run()
    except VisualizeError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _found(config: Path) -> Path:
    """The config, or where `configs/` is not here the project's own of that name."""
    own = default_config(config.name)
    ours = config.parent == Path("configs") and not os.path.exists(config) and os.path.isfile(own)
    return own if ours else config


def _check_samples(config: Any) -> None:
    """Raise `ConfigError` where the pictures of a clone are asked for and there are none."""
    samples = Path("content/images")
    for key, instead in SAMPLES.items():
        sources = getattr(config, key, None)
        for source in sources if isinstance(sources, list) else [sources]:
            if samples in (Path(str(source)), *Path(str(source)).parents) and not samples.exists():
                raise ConfigError(
                    f"{key} is {source}, which only a clone of the project has; "
                    f"replace it: -o {key}={instead}"
                )


def _announce() -> None:
    """Show what the package logs as plain lines, without the decoration of Paddle's root logger."""
    logger = logging.getLogger("visualize_pd")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("note: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def complain(line: str) -> None:
    """A line on stderr, clear of progress bars."""
    tqdm.write(_one_line(line), file=sys.stderr)


def _one_line(text: object) -> str:
    return " ".join(part.strip() for part in str(text).splitlines())


def say(line: str) -> None:
    """A line on stdout, clear of progress bars."""
    try:
        tqdm.write(_one_line(line))
        sys.stdout.flush()
    except OSError:  # closed pipe or full disk: the results are in their files all the same
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
