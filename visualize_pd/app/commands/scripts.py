"""The two scripts, `visualize-pd concepts`, and the page `app.py`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ...core.errors import VisualizeError
from ..config.schema import ConceptsConfig, ExplainConfig, GenerateConfig
from .parser import config_parser, run_command
from .terminal import DONE, INTERRUPTED, PARTLY, complain, say

EXPLAIN_EXAMPLES = """\
examples:
  {command} --config configs/saliency.yaml
  {command} -o images=cat.jpg -o target="tabby cat" -o output=/tmp/out
  {command} -o images=cat.jpg -o target=top3 -o report=true
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
APP_EXAMPLES = """\
examples:
  {command}
  {command} --model resnet18 --weights runs/best.pdparams --port 8080
  {command} -o method=saliency -o images=photos
"""
CONCEPTS_EXAMPLES = """\
examples:
  {command}
  {command} -o images=photos/zebras -o target=zebra -o new_images=zebra.jpg
  {command} -o images=photos/zebras -o target=zebra -o concepts=10 -o image=null
"""


def explain_command(
    default: Path,
    arguments: Sequence[str] | None = None,
    command: str = "python method_1_pp.py",
) -> int:
    """Method 1: explain images. The exit code is 1 if some of them had to be skipped."""

    def run(config: ExplainConfig, _options: argparse.Namespace) -> int:
        from ..explain.run import explain

        done, skipped = explain(config, say, complain)
        if not done:
            raise VisualizeError("no image could be explained")
        return PARTLY if skipped else DONE

    description = "Explain images: which pixels made the network give this score to this class?"
    parser = config_parser(
        default, ExplainConfig, description, EXPLAIN_EXAMPLES.format(command=command), command
    )
    return run_command(parser, ExplainConfig, run, arguments)


def generate_command(
    default: Path,
    arguments: Sequence[str] | None = None,
    command: str = "python method_2_pp.py",
) -> int:
    """Method 2: generate an image of a class, and an animation of it."""

    def run(config: GenerateConfig, options: argparse.Namespace) -> int:
        from ..generate.run import generate

        return DONE if generate(config, say, options.resume) else INTERRUPTED

    description = "Generate an image: what does the network think that this class looks like?"
    parser = config_parser(
        default, GenerateConfig, description, GENERATE_EXAMPLES.format(command=command), command
    )
    parser.add_argument("--resume", action="store_true", help="continue a run that was interrupted")
    return run_command(parser, GenerateConfig, run, arguments)


def app_command(
    default: Path, arguments: Sequence[str] | None = None, command: str = "python app.py"
) -> int:
    """The page in a browser. It runs until somebody interrupts it."""

    def run(config: ExplainConfig, options: argparse.Namespace) -> int:
        from ..web.launch import serve

        serve(config, options.host, options.port, options.share, say)
        return DONE

    description = "Open a page in the browser: drop a picture, click a class, see why."
    examples = APP_EXAMPLES.format(command=command)
    parser = config_parser(default, ExplainConfig, description, examples, command)
    for name, key in (("model", "model"), ("weights", "model.weights")):
        parser.add_argument(
            f"--{name}",
            dest="overrides",
            action="append",
            metavar=name.upper(),
            type=lambda value, key=key: f"{key}={json.dumps(value)}",  # type: ignore[misc]
            help=f"the same as -o {key}={name.upper()}",
        )
    parser.add_argument(
        "--host", help="the address to listen at (default: 127.0.0.1, this machine)"
    )
    parser.add_argument("--port", type=int, help="the port (default: the first free one from 7860)")
    parser.add_argument(
        "--share",
        action="store_true",
        help="let Gradio make a public link that anybody can open; without it nothing is shared",
    )
    return run_command(parser, ExplainConfig, run, arguments, needs_samples=False)


def concepts_command(
    default: Path, arguments: Sequence[str] | None = None, command: str = "visualize-pd concepts"
) -> int:
    """Find the concepts of a class. The exit code is 1 if some pictures could not be used."""

    def run(config: ConceptsConfig, _options: argparse.Namespace) -> int:
        from ..concepts.run import report_concepts

        return DONE if report_concepts(config, say, complain) else PARTLY

    description = "Find the parts by which the network recognises a class: its concepts."
    parser = config_parser(
        default, ConceptsConfig, description, CONCEPTS_EXAMPLES.format(command=command), command
    )
    return run_command(parser, ConceptsConfig, run, arguments)
