"""Method 1 explains images: python method_1_pp.py --config configs/saliency.yaml"""

import sys
from pathlib import Path

if __name__ == "__main__":
    try:
        from visualize_pd.app.commands.scripts import explain_command
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(explain_command(Path(__file__).parent / "configs" / "saliency.yaml"))
