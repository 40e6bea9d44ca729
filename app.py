"""The page in a browser: python app.py"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    try:
        from visualize_pd.app.commands.scripts import app_command
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    host = os.environ.get("GRADIO_SERVER_NAME")  # a service that runs the app may set it
    given = ["--host", host] if host else []
    sys.exit(app_command(Path(__file__).parent / "configs" / "app.yaml", [*given, *sys.argv[1:]]))
