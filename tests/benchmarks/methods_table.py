"""Write the table of all methods in docs/measure.md: composed pictures, measures, times.

    python tests/benchmarks/methods_table.py --output DIR [--stamps DIR] [--count 40]
    python tests/benchmarks/methods_table.py --output DIR --count 2 --methods saliency grad_cam

It composes the pictures (stamps.py tells of what), runs `evaluate methods` on them for every method
that fits the network, and prints the table in Markdown: means, and half the width of their 95 %
intervals. DIR also gets `table.md`, and in `evaluate/` the files of the run. Methods run with their
defaults; colours are summed. Run it on a machine without other work: the last column is a time.
"""

import argparse
import json
import sys
from pathlib import Path

import paddle
import stamps

import visualize_pd as vp
from visualize_pd.app.config.schema import EvaluateConfig
from visualize_pd.app.evaluate.methods.table import report_methods
from visualize_pd.core.checks import options_of
from visualize_pd.core.config import build

# Methods of which the sizes without their signs are measured: their signs say nothing of a pixel.
SIZES = ("gradient", "guided_backprop", "deconvnet", "smooth_grad", "activation_gradient")
MEASURES = (
    "insertion",
    "deletion",
    "contrast_insertion",
    "road",
    "pointing_game",
    "relevance",
    "average_drop",
    "average_gain",
    "random_logit",
    "sparseness",
)
TIME = "time over one pass"


def configured(name: str) -> dict:
    """A method as a config names it."""
    options = options_of(vp.METHODS[name])
    chosen = {"name": name}
    if name != "saliency" and options.get("channel") == "none":
        chosen["channel"] = "sum"
    if options.get("baselines", "") is None:
        chosen["baselines"] = "content/images"
    if name in SIZES:
        chosen["sign"] = "absolute"
    return chosen


def fitting(names: list, network: str) -> list:
    """The methods that can explain the network. Of each other one the reason is printed."""
    classifier, found = vp.load_model(network), []
    image = paddle.randn([1, 3, classifier.image_size, classifier.image_size])
    for name in names:
        try:
            few = {
                key: 2
                for key in ("masks", "samples", "steps")
                if key in options_of(vp.METHODS[name])
            }
            if "baselines" in options_of(vp.METHODS[name]):
                few["baselines"] = "zero"
            vp.METHODS[name](classifier.network, image, 0, **few)
            found.append(name)
        except vp.VisualizeError as error:
            print(f"without {name}: {error}", file=sys.stderr)
    return found


def markdown(folder: Path, names: list) -> str:
    """The table, a row for each method in the order of `names`."""
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    means, intervals = (list(record[part].values()) for part in ("means", "intervals"))
    columns = list(means[0])
    heads = [TIME if column == "passes" else f"`{column}`" for column in columns]
    lines = [f"| method | {' | '.join(heads)} |", "| --- " * (len(columns) + 1) + "|"]
    for name, mean, interval in zip(names, means, intervals):
        note = " (size)" if name in SIZES else ""
        cells = [cell(mean[column], interval[column], column) for column in columns]
        lines.append(f"| `{name}`{note} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(value, interval, column: str) -> str:
    if value is None:
        return "–"
    if column == "passes":
        return f"{value:.2g}"
    return f"{value:.2f} ±{(interval[1] - interval[0]) / 2:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--stamps", type=Path, default=stamps.INSTALLED)
    parser.add_argument("--count", type=int, default=40, help="number of pictures")
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--methods", nargs="+", default=list(vp.METHODS))
    parser.add_argument("--measures", nargs="+", default=list(MEASURES))
    parser.add_argument("--steps", type=int, default=20, help="steps of a curve")
    arguments = parser.parse_args()
    try:
        stamps.write_set(Path(arguments.stamps), arguments.output, arguments.count, seed=0)
        names = fitting(arguments.methods, arguments.network)
        values = {
            "images": str(arguments.output / "pictures"),
            "truth": str(arguments.output / "labels.csv"),
            "target": "labelled",
            "methods": [configured(name) for name in names],
            "measures": arguments.measures,
            "steps": arguments.steps,
            "model": arguments.network,
            "output": str(arguments.output),
        }
        report_methods(build(EvaluateConfig, values), lambda _: None, print)
    except (OSError, vp.VisualizeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = markdown(arguments.output / "evaluate", names)
    (arguments.output / "table.md").write_text(table, encoding="utf-8")
    print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
