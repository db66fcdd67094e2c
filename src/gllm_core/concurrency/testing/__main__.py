"""`python -m gllm_core.concurrency.testing`: the stress suite on the installed library."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
