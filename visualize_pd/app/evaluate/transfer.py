"""Measure whether other networks recognise class images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core import runtime
from ...core.errors import ConfigError
from ...core.files import make_output_folder
from ...evaluate.transfer import CLASSES, JUDGES, shares, transfer
from ...models.class_names import parse_target
from ...models.loading import load_model
from ...network.fast import use_fast
from .. import drawing
from ..config.schema import GenerateConfig
from .pictures import Say


def report_transfer(
    config: GenerateConfig,
    say: Say,
    classes: Sequence[str | int] = CLASSES,
    judges: Sequence[str] = JUDGES,
) -> None:
    """Print the results of `transfer`, a line for each class. Write the pictures as one sheet."""
    folder = make_output_folder(Path(config.output) / "transfer")
    runtime.use_device(config.device)
    use_fast(config.fast)
    panel = [load_model(judge) for judge in judges]
    labels = panel[0].labels if panel else None
    parsed = [parse_target(target, labels) for target in classes]
    indices = [index for index in parsed if index is not None]
    if not indices or len(indices) < len(parsed):
        raise ConfigError("--classes must be indices or names of classes, at least one")
    named = transfer(config, indices, panel)
    names = [judge.name for judge in panel]
    say(f"{'class':28}" + "".join(f"{name:>22}" for name in names))
    for each in named:
        ranks = "".join(f"{each.ranks[name] + 1:>22}" for name in names)
        say(f"{panel[0].class_name(each.target)[:26]:28}{ranks}")
    for which, title in enumerate(("first", "in the top 5")):
        share = "".join(f"{shares(named, name)[which]:>22.0%}" for name in names)
        say(f"{title:28}{share}")
    cells = [(panel[0].class_name(each.target), each.picture) for each in named]
    rows = [("", cells[n : n + 5]) for n in range(0, len(cells), 5)]
    output = folder / "sheet.png"
    drawing.save_picture(output, drawing.figure(rows, "", scale=1, smooth=5))
    say(f"→ {output}")
