"""What the site needs from outside `docs/`: pictures and configs, to which pages link as `../…`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
OUTSIDE = ("content", "configs")


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the folders outside to those of the site."""
    for folder in OUTSIDE:
        for path in sorted((ROOT / folder).iterdir()):
            if path.is_file():
                name = f"{folder}/{path.name}"
                files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let the links of a page lead to these files."""
    return re.sub(rf"\]\(\.\./({'|'.join(OUTSIDE)})/", r"](\1/", markdown)
