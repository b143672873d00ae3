"""`python -m jobstream`: the command line, for machines whose path does not have it."""

import sys

from jobstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
