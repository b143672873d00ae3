"""The verb about Jobstream itself: version."""

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson


def version(*, json: AsJson = False) -> int:
    """Print the version of Jobstream.

    ```
    jobstream version
    ```
    """
    from importlib.metadata import version as installed

    found = installed("jobstream")
    if json:
        show.as_json({"version": found})
    else:
        print(f"jobstream {found}")
    return Exit.OK
