"""`python -m visualize_pd.evaluate`, the same as `visualize-pd evaluate`."""

import sys

from ..app.commands.evaluate import evaluate_command

sys.exit(evaluate_command())
