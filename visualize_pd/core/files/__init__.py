"""Files: whole ones, locks between processes, and what killed runs leave."""

from .leftovers import process_started, remove_files, remove_leftovers, run_id
from .locks import alone_in, locked
from .writing import (
    atomic_write,
    check_results,
    expand_home,
    is_pipe_or_device,
    make_output_folder,
    shortened,
    write_text,
)

__all__ = [
    "alone_in",
    "atomic_write",
    "check_results",
    "expand_home",
    "is_pipe_or_device",
    "locked",
    "make_output_folder",
    "process_started",
    "remove_files",
    "remove_leftovers",
    "run_id",
    "shortened",
    "write_text",
]
