"""Run the scripts in forks of one process that has imported Paddle already.

A fork is a process of its own, which can be killed, but it starts at once. `Scripts` is the side of
the tests. The other side is this file as a program: it reads a task from each line of its input.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


COMMANDS = {
    "method_1_pp.py": (["explain"], "saliency.yaml"),
    "method_2_pp.py": (["generate"], "class_image.yaml"),
    "concepts": (["concepts"], "concepts.yaml"),
    "compare": (["evaluate", "compare", "saliency", "gradient"], "evaluate.yaml"),
}


class Done(NamedTuple):
    """The end of a script: its exit code, or minus the signal that killed it, and its output."""

    code: int
    out: str
    err: str

    @property
    def writes(self) -> int:
        """The number of steps of writing that were counted."""
        return int(self.err.rpartition("writes: ")[2])


class Scripts:
    """Starts scripts in forks. It must be closed at the end."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self.server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # threads do not survive a fork
        )

    def start(self, script: str, arguments: list[str], **task) -> int:
        """Begin to run a script, and return its number.

        `task`: a `fault` that comes `at` a step of writing, the `rank` of the process in a launch
        of a `size`, the files `out` and `err` to print to (`closed`: to none), and the folder `cwd`
        to work in.
        """
        self.count += 1
        task.update(number=self.count, script=script, arguments=arguments)
        self._send(task)
        return self.count

    def result(self, number: int) -> Done:
        """Wait for a script to end."""
        self._send({"wait": number})
        code = json.loads(self.server.stdout.readline())
        texts = (self.folder / f"{number}.{name}" for name in ("out", "err"))
        return Done(code, *(t.read_text(errors="replace") if t.exists() else "" for t in texts))

    def run(self, script: str, arguments: list[str], **task) -> Done:
        """Run a script to its end."""
        return self.result(self.start(script, arguments, **task))

    def warm_up(self, script: str, arguments: list[str]) -> int:
        """Run a script in the process itself. Its forks then have all modules, and are faster."""
        self._send({"warm": True, "script": script, "arguments": arguments})
        return json.loads(self.server.stdout.readline())

    def kill(self, number: int) -> None:
        """Kill a script."""
        self._send({"kill": number})
        self.result(number)

    def _send(self, task: dict) -> None:
        self.server.stdin.write(json.dumps({"folder": str(self.folder), **task}) + "\n")
        self.server.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self.server.stdin.close()
        self.server.wait(timeout=20)


def words_of(task: dict) -> list[str]:
    """The words after `visualize-pd` that do a task."""
    words, config = COMMANDS[task["script"]]
    return [*words, "--config", str(ROOT / "configs" / config), *task["arguments"]]


class Faults:
    """Counts the steps of writing files: open, write, rename. At one of them it does harm."""

    def __init__(self, fault: str | None, at: int, output: str):
        self.fault, self.at, self.output, self.count = fault, at, output, 0

    def step(self):
        self.count += 1
        if self.fault == "kill" and self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "remove" and self.count == self.at:
            shutil.rmtree(self.output)
        if self.fault == "fail" and self.count == self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def install(self):
        from visualize_pd.core.files import writing

        faults, replace = self, os.replace

        class CountedFile:
            def __init__(self, path, mode):
                faults.step()
                self.file, self.written = open(path, mode), False  # noqa: SIM115

            def write(self, data):
                if not self.written:
                    self.written = True
                    self.file.write(bytes(data)[: len(bytes(data)) // 2])  # a half is on the disk
                    self.file.flush()
                    faults.step()
                    return self.file.write(bytes(data)[len(bytes(data)) // 2 :])
                return self.file.write(data)

            def flush(self):
                self.file.flush()

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

        def counted_replace(before, after):
            faults.step()
            replace(before, after)

        writing.open = CountedFile
        os.replace = counted_replace


def child(task: dict) -> int:
    """Run the script of a task in this process."""
    for number, name in ((1, "out"), (2, "err")):
        target = task.get(name)
        if target == "closed":
            os.close(number)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(target or f"{task['folder']}/{task['number']}.{name}", flags), number)
    import paddle

    os.chdir(task.get("cwd", "."))
    closed = [task.get(name) == "closed" for name in ("out", "err")]
    streams = [None if c else os.fdopen(n, "w") for n, c in enumerate(closed, 1)]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = streams
    for key in ("rank", "size"):
        if key in task:
            name = {"rank": "PADDLE_TRAINER_ID", "size": "PADDLE_TRAINERS_NUM"}[key]
            os.environ[name] = str(task[key])
            paddle.distributed.parallel._global_parallel_env = None  # what Paddle has kept of them
    from visualize_pd.app.commands.main import main

    faults = Faults(task.get("fault"), task.get("at", 0), task.get("output", ""))
    faults.install()
    code = main(words_of(task))
    if task.get("err") is None:
        print(f"writes: {faults.count}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    return code


def serve() -> None:
    """Fork for each task, and tell in the same order how the forks ended."""
    sys.path[:0] = [str(TESTS), str(TESTS / "helpers"), str(ROOT)]
    from visualize_pd.app.commands.main import main

    processes: dict[int, int] = {}
    for line in sys.stdin:
        task = json.loads(line)
        if "kill" in task:
            os.kill(processes[task["kill"]], signal.SIGKILL)
            continue
        if "warm" in task:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                code = main(words_of(task))
            print(json.dumps(code), flush=True)
            continue
        if "wait" in task:
            _, status = os.waitpid(processes.pop(task["wait"]), 0)
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            print(json.dumps(code), flush=True)
            continue
        process = os.fork()
        if process == 0:
            try:
                code = child(task)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(99)
            os._exit(code)
        processes[task["number"]] = process


if __name__ == "__main__":
    serve()
