"""`python -m visualize_pd`, the same as the command `visualize-pd`."""

import sys

from .app.commands.main import main

sys.exit(main())
