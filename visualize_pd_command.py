"""The command `visualize-pd`.

This module lies outside the package. To import the package also imports Paddle, which takes
seconds.
"""

import importlib.util
import sys


def main() -> int:
    """Read the arguments with the code of the package, then import the package and do the work."""
    try:
        spec = importlib.util.find_spec("visualize_pd")
        if spec is None or spec.loader is None:
            raise ImportError("the package visualize_pd is not installed")
        package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        command = importlib.import_module("visualize_pd.app.commands.main").command_of(sys.argv[1:])
        spec.loader.exec_module(package)  # only now, because this imports Paddle
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return command()


if __name__ == "__main__":
    sys.exit(main())
