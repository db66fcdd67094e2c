"""`python -m stress`, from the repository's root: the engine that users run as `python -m gllm_core.concurrency.testing`."""

import sys

from gllm_core.concurrency.testing._cli import main

if __name__ == "__main__":
    sys.exit(main())
