"""What the demo asks for: one job per file of the standard library, and the troublemakers among them.

Pure: owns ids, keys and delays, and must submit nothing itself.
"""

from pathlib import Path

from jobstream.demo.functions import broken, hello, measure_file, silent, survey
from jobstream.demo.measure import package
from jobstream.functions import Submission

FAILS_ONCE_EVERY = 25
"""Every so many files, the job's first attempt fails."""
FAILS_TWICE_EVERY = 200
"""Every so many files, the second does too."""
DELAYED = 5
"""How many jobs are delayed."""
DELAY_S = 3.0
"""By how much."""
SURVEY_S = 8.0
"""How long the survey takes."""
CANCELLED_ID = "demo-cancelled"
"""Id of the job that is cancelled before its time comes; any id within the pattern will do."""
CANCELLED_DELAY_S = 3_600.0


def measures(root: Path, files: list[Path]) -> list[Submission]:
    """Return one submission per file, with the package as its key; some are told to fail at first."""
    return [
        measure_file.submit_with(key=f"stdlib/{package(root, path)}").request(
            str(path.relative_to(root)), fails=fails(number)
        )
        for number, path in enumerate(files, start=1)
    ]


def fails(number: int) -> int:
    """Return how many attempts of the job for the file of this number shall fail."""
    return (number % FAILS_ONCE_EVERY == 0) + (number % FAILS_TWICE_EVERY == 0)


def troublemakers() -> list[Submission]:
    """Return the jobs that do not simply run."""
    return [
        survey.request(SURVEY_S),
        broken.request(),
        silent.request(),
        *(hello.submit_with(delay=DELAY_S).request(f"delayed {number}") for number in range(DELAYED)),
        hello.submit_with(delay=CANCELLED_DELAY_S, id=CANCELLED_ID).request("never"),
    ]
