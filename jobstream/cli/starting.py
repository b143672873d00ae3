"""The verbs for a beginning: init and completion."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobstream.cli.exits import Exit

COMPLETE = "_JOBSTREAM_COMPLETE"
"""Variable in which a shell asks for completions."""


class Shell(StrEnum):
    """Shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where to; made if it is not there.", show_default="this folder")
    ] = Path(),
) -> int:
    """Write a small project that runs: a function, its test, and code that asks for a job.

    It overwrites nothing: exits 2 if a file of that name is there.

    ```
    jobstream init greetings
    ```
    """
    from jobstream.starter import write

    for path in write(folder):
        print(path)
    where = "" if folder.resolve() == Path.cwd() else f" in {folder}"
    print(f"next{where}: `jobstream up`, then `jobstream minion tasks`, then `python ask.py Ada`")
    return Exit.OK


def completion(
    shell: Annotated[Shell, typer.Argument(help="Which shell.", show_default=False)],
) -> int:
    """Print what makes a shell complete verbs and flags of jobstream.

    ```
    eval "$(jobstream completion bash)"                                    # in ~/.bashrc
    jobstream completion zsh > ~/.zfunc/_jobstream                         # a folder of your fpath
    jobstream completion fish > ~/.config/fish/completions/jobstream.fish
    ```
    """
    from typer.completion import get_completion_script

    print(get_completion_script(prog_name="jobstream", complete_var=COMPLETE, shell=shell))
    return Exit.OK
