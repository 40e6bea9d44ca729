"""`python -m visualize_pd.evaluate MEASURE --config …`"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..cli import DONE, PARTLY, carry_out, command_parser, complain, say
from ..config import EvaluateConfig, GenerateConfig, LocaliseConfig, SanityConfig
from . import reports
from .transfer import CLASSES, JUDGES

EXAMPLES = """\
examples:
  python -m visualize_pd.evaluate methods
  python -m visualize_pd.evaluate methods -o images=photos -o 'methods=[grad_cam, rise]'
  python -m visualize_pd.evaluate localise -o images=cat.jpg -o target=top3
  python -m visualize_pd.evaluate sanity -o mode=independent
  python -m visualize_pd.evaluate transfer --classes toucan tiger 950 -o iterations=80
"""


def _report(
    title: str, config: str, schema: type, report: Callable[..., bool]
) -> Callable[[Sequence[str]], int]:
    """A command that runs a report over pictures."""

    def command(arguments: Sequence[str]) -> int:
        parser = command_parser(Path("configs") / config, title, EXAMPLES)

        def run(settings: Any, _options: argparse.Namespace) -> int:
            return DONE if report(settings, say, complain) else PARTLY

        return carry_out(parser, schema, run, arguments)

    return command


def _transfer(arguments: Sequence[str]) -> int:
    title = "Make class images, and let other networks name them."
    parser = command_parser(Path("configs") / "class_image.yaml", title, EXAMPLES)
    parser.add_argument("--classes", nargs="+", default=CLASSES, help="indices or names")
    parser.add_argument("--judges", nargs="+", default=JUDGES, help="networks that name the images")

    def run(config: GenerateConfig, options: argparse.Namespace) -> int:
        reports.report_transfer(config, say, options.classes, options.judges)
        return DONE

    return carry_out(parser, GenerateConfig, run, arguments)


COMMANDS = {
    "methods": _report(
        "Measure how well maps tell what the network uses.",
        *("evaluate.yaml", EvaluateConfig, reports.report_methods),
    ),
    "localise": _report(
        "Find the object of a class, without a box to learn from.",
        *("localise.yaml", LocaliseConfig, reports.report_places),
    ),
    "sanity": _report(
        "Make layers random, and see whether maps change.",
        *("sanity.yaml", SanityConfig, reports.report_sanity),
    ),
    "transfer": _transfer,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: what to measure, then its own options."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m visualize_pd.evaluate",
        description="Numbers that tell whether maps and generated pictures mean what they seem to.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measure", choices=list(COMMANDS), help="what to measure")
    measure = parser.parse_args(arguments[:1]).measure
    return COMMANDS[measure](arguments[1:])
