"""The command `visualize-pd methods`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...core.checks import did_you_mean, options_of
from ...core.errors import ConfigError
from .parser import plain_parser
from .terminal import DONE, exit_code, say, say_table

METHODS_EXAMPLES = """\
examples:
  visualize-pd methods
  visualize-pd methods integrated_gradients
"""


def methods_command(prog: str, arguments: Sequence[str]) -> Callable[[], int]:
    """Read the arguments, and return a function that does the work."""
    parser = plain_parser(
        prog, "List the methods that explain images, or describe one method.", METHODS_EXAMPLES
    )
    parser.add_argument("name", nargs="?", help="the method to describe, with its options")
    name = parser.parse_args(arguments).name
    return partial(exit_code, partial(show_method, name) if name else list_methods)


def list_methods() -> int:
    """Print a line for each method: the first paragraph of its docstring."""
    from ...attribution.methods import METHODS

    firsts = {
        name: (inspect.getdoc(method) or "").partition("\n\n")[0]
        for name, method in METHODS.items()
    }
    say_table((name, " ".join(first.split())) for name, first in firsts.items())
    return DONE


def show_method(name: str) -> int:
    """Print the docstring of a method, and its options with their defaults."""
    from ...attribution.methods import METHODS

    if name not in METHODS:
        raise ConfigError(f"unknown method '{name}'; {did_you_mean(name, METHODS)}")
    for line in [name, *(inspect.getdoc(METHODS[name]) or "").splitlines(), ""]:
        say(line)
    options = options_of(METHODS[name])
    options.pop("return_gap", None)  # only for calls in Python
    say_table([("option", "default"), *((o, _yaml(value)) for o, value in options.items())])
    return DONE


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
