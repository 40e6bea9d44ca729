"""The command `visualize-pd`.

To import Paddle takes seconds. This module does not import it. A command does so when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from ..config.reading import default_config
from ..streams import protect_streams
from .evaluate import evaluate_command
from .methods import methods_command
from .models import models_command
from .parser import plain_parser
from .scripts import app_command, concepts_command, explain_command, generate_command
from .weights import weights_command

Command = Callable[[], int]

LIST = """\
commands:
  explain    which pixels made the network give this score to this class?
  generate   what does the network think that this class looks like?
  concepts   by which parts does the network recognise a class?
  evaluate   measure maps and generated pictures
  app        all of this on a page in the browser
  models     the networks that can be loaded by name, and the layers of a network
  methods    the methods that explain images, and the options of a method
  weights    where weights come from; convert, check and download them

visualize-pd COMMAND --help tells more about a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in the arguments, and return the exit code."""
    return command_of(sys.argv[1:] if arguments is None else arguments)()


def command_of(arguments: Sequence[str]) -> Command:
    """The command in the arguments, as a function. Help and wrong arguments end the program."""
    protect_streams()
    parser = plain_parser("visualize-pd", "See what a convolutional network has learned.", LIST)
    parser.add_argument("command", choices=list(COMMANDS), metavar="command", help="see below")
    if not arguments:
        parser.print_help()
        parser.exit()
    name = parser.parse_args(arguments[:1]).command
    return COMMANDS[name](f"visualize-pd {name}", arguments[1:])


def _explain(prog: str, arguments: Sequence[str]) -> Command:
    return partial(explain_command, default_config("saliency.yaml"), arguments, prog)


def _generate(prog: str, arguments: Sequence[str]) -> Command:
    return partial(generate_command, default_config("class_image.yaml"), arguments, prog)


def _concepts(prog: str, arguments: Sequence[str]) -> Command:
    return partial(concepts_command, default_config("concepts.yaml"), arguments, prog)


def _evaluate(prog: str, arguments: Sequence[str]) -> Command:
    return partial(evaluate_command, arguments, prog)


def _app(prog: str, arguments: Sequence[str]) -> Command:
    return partial(app_command, default_config("app.yaml"), arguments, prog)


COMMANDS: dict[str, Callable[[str, Sequence[str]], Command]] = {
    "explain": _explain,
    "generate": _generate,
    "concepts": _concepts,
    "evaluate": _evaluate,
    "app": _app,
    "models": models_command,
    "methods": methods_command,
    "weights": weights_command,
}
