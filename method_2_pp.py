"""Method 2 generates an image of a class and an animation of it: python method_2_pp.py"""

import sys
from pathlib import Path

if __name__ == "__main__":
    try:
        from visualize_pd.app.commands.scripts import generate_command
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(generate_command(Path(__file__).parent / "configs" / "class_image.yaml"))
