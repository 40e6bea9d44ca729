"""`visualize-pd evaluate MEASURE`, and `python -m visualize_pd.evaluate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...core.config import as_dict, build
from ...core.errors import ConfigError
from ..config.reading import parse_value
from ..config.schema import EvaluateConfig, GenerateConfig, LocaliseConfig, SanityConfig
from ..streams import protect_streams
from .parser import config_parser, plain_parser, run_command, run_with_configs
from .terminal import DONE, PARTLY, complain, exit_code, say

FRESH = "fresh"  # in place of classes: those by which no setting was chosen
PAIRS = Path("images") / "pairs"

LIST = """\
measures:
  methods    which maps show best what the network uses?
  compare    is one of two methods better, or is the difference chance?
  localise   where is the object of a class?
  sanity     do maps change when the network becomes random?
  transfer   do other networks recognise class images? which recipe makes better ones?
  pairs      blind pairs: which of two pictures does a person like better?

examples:
  {command} methods
  {command} methods -o images=photos -o 'methods=[grad_cam, rise]'
  {command} compare grad_cam score_cam
  {command} localise -o images=cat.jpg -o target=top3
  {command} sanity -o mode=independent
  {command} transfer --classes toucan tiger 950 -o iterations=80
  {command} transfer --config configs/class_image.yaml configs/class_image_fourier.yaml
  {command} pairs images/transfer/class_image images/transfer/class_image_fourier
"""


def evaluate_command(
    arguments: Sequence[str] | None = None, command: str = "python -m visualize_pd.evaluate"
) -> int:
    """Run the measure that the first argument names. It reads the other arguments."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    about = "Measure whether maps and generated pictures show what they seem to show."
    parser = plain_parser(command, about, LIST.format(command=command))
    parser.add_argument("measure", choices=list(MEASURES), metavar="measure", help="see below")
    if not arguments:
        parser.print_help()
        return DONE
    measure = parser.parse_args(arguments[:1]).measure
    return MEASURES[measure](f"{command} {measure}", arguments[1:])


def _methods(command: str, arguments: Sequence[str]) -> int:
    def run(config: EvaluateConfig) -> bool:
        from ..evaluate.methods.table import report_methods

        return report_methods(config, say, complain)

    about = "Measure how well maps show what the network uses."
    return _measure(command, arguments, "evaluate.yaml", EvaluateConfig, about, run)


def _compare(command: str, arguments: Sequence[str]) -> int:
    about = (
        "Compare two methods over the same pictures with all measures of the config. One is called "
        "better only if the difference is larger than chance makes it."
    )
    examples = (
        f"examples:\n  {command} grad_cam score_cam\n"
        f"  {command} grad_cam '{{name: grad_cam, score: {{contrast: top3}}}}' "
        "-o 'measures=[contrast_insertion]'\n"
    )
    config = Path("configs") / "evaluate.yaml"
    parser = config_parser(config, EvaluateConfig, about, examples, command)
    parser.add_argument("first", metavar="A", help="a method: its name, or {name: …} with options")
    parser.add_argument("second", metavar="B", help="another method")

    def run(config: EvaluateConfig, options: argparse.Namespace) -> int:
        from ..evaluate.methods.compare import report_comparison

        methods = [parse_value(text, "a method") for text in (options.first, options.second)]
        values = {**as_dict(config), "methods": methods}
        done = report_comparison(build(EvaluateConfig, values), say, complain)
        return DONE if done else PARTLY

    return run_command(parser, EvaluateConfig, run, arguments)


def _localise(command: str, arguments: Sequence[str]) -> int:
    def run(config: LocaliseConfig) -> bool:
        from ..evaluate.localise import report_localisation

        return report_localisation(config, say, complain)

    about = "Find the object of a class, without training on boxes."
    return _measure(command, arguments, "localise.yaml", LocaliseConfig, about, run)


def _sanity(command: str, arguments: Sequence[str]) -> int:
    def run(config: SanityConfig) -> bool:
        from ..evaluate.sanity import report_sanity

        return report_sanity(config, say, complain)

    about = "Make layers random, and measure how much the maps change."
    return _measure(command, arguments, "sanity.yaml", SanityConfig, about, run)


def _measure(
    command: str,
    arguments: Sequence[str],
    config: str,
    schema: type,
    about: str,
    run: Callable[[Any], bool],
) -> int:
    """Run a measure on pictures. The exit code is 1 if some of them could not be read."""
    examples = f"examples:\n  {command}\n  {command} -o images=photos -o output=/tmp/out\n"
    parser = config_parser(Path("configs") / config, schema, about, examples, command)
    return run_command(parser, schema, lambda c, _: DONE if run(c) else PARTLY, arguments)


def _transfer(command: str, arguments: Sequence[str]) -> int:
    about = "Make class images, and test whether other networks recognise them."
    examples = (
        f"examples:\n  {command} --classes toucan tiger 950 -o iterations=80\n"
        f"  {command} --config a.yaml b.yaml --classes {FRESH}\n"
    )
    config = Path("configs") / "class_image.yaml"
    parser = config_parser(config, GenerateConfig, about, examples, command, several=True)
    parser.add_argument(
        "--classes",
        nargs="+",
        help=f"indices or names (default: 20 classes); {FRESH}: 20 other ones, by which no "
        "setting was ever chosen",
    )
    parser.add_argument(
        "--judges",
        nargs="+",
        help="networks that classify the images (default: efficientnet_lite1 and 2)",
    )

    def run(configs: dict[Path, GenerateConfig], options: argparse.Namespace) -> int:
        from ...evaluate.generated import CLASSES, FRESH_CLASSES, JUDGES
        from ..evaluate.transfer import report_transfer

        classes = FRESH_CLASSES if options.classes == [FRESH] else options.classes or CLASSES
        report_transfer(configs, say, classes, options.judges or JUDGES)
        return DONE

    return run_with_configs(parser, GenerateConfig, run, arguments)


def _pairs(command: str, arguments: Sequence[str]) -> int:
    about = (
        "Lay the pictures of two folders side by side, in random order and without names. "
        "A person answers, and then the answers are counted."
    )
    examples = (
        f"examples:\n  {command} images/transfer/class_image images/transfer/other\n"
        f"  {command} --score images/pairs\n"
    )
    parser = plain_parser(command, about, examples)
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="two folders of evaluate transfer"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=PAIRS,
        help=f"the folder for the pairs (default: {PAIRS.as_posix()})",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the order and of the sides")
    parser.add_argument(
        "--score", type=Path, metavar="DIR", help="count the answers in this folder of pairs"
    )
    protect_streams()
    options = parser.parse_args(arguments)

    def run() -> int:
        from ..evaluate.pairs import score_pairs, write_pairs

        if len(options.folders) != (0 if options.score else 2):
            raise ConfigError("pairs needs two folders of pictures, or --score DIR alone")
        if options.score:
            score_pairs(options.score, say)
        else:
            write_pairs(options.folders, options.output, options.seed, say)
        return DONE

    return exit_code(run)


MEASURES = {
    "methods": _methods,
    "compare": _compare,
    "localise": _localise,
    "sanity": _sanity,
    "transfer": _transfer,
    "pairs": _pairs,
}
