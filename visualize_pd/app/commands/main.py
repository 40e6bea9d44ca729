"""The command `visualize-pd`.

Importing this module does not import Paddle, which takes seconds. The commands do, once called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from .evaluate import evaluate_command
from .methods import methods_command
from .models import models_command
from .parser import default_config, plain_parser
from .scripts import explain_command, generate_command
from .weights import weights_command

Command = Callable[[], int]

LIST = """\
commands:
  explain    which pixels made the network give this score to this class?
  generate   what does the network think that this class looks like?
  evaluate   measure maps and generated pictures
  models     the networks that load by name, and the layers of one
  methods    the methods that explain, and the options of one
  weights    where weights come from; convert, check and download them

visualize-pd COMMAND --help tells more of each.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for, and return the exit code."""
    return command_of(sys.argv[1:] if arguments is None else arguments)()


def command_of(arguments: Sequence[str]) -> Command:
    """What the arguments ask for, ready to be called. Help and mistakes end the program here."""
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


def _evaluate(prog: str, arguments: Sequence[str]) -> Command:
    return partial(evaluate_command, arguments, prog)


COMMANDS: dict[str, Callable[[str, Sequence[str]], Command]] = {
    "explain": _explain,
    "generate": _generate,
    "evaluate": _evaluate,
    "models": models_command,
    "methods": methods_command,
    "weights": weights_command,
}
