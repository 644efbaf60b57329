"""Make ``python -m mednb.cli`` the same as ``mednb``."""

import sys

from mednb.cli import main

if __name__ == "__main__":
    sys.exit(main())
