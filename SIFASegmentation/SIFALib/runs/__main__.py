"""`python -m SIFALib.runs FOLDER`: run the training in that folder, or go on with it; also under torchrun."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m SIFALib.runs", description=__doc__)
    parser.add_argument("folder", type=Path, help="a run folder, as `sifa train` makes it")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from ..support.errors import RunError
    from ..support.messages import sentence
    from .loop import FAILED, train

    try:
        return 1 if train(options.folder) == FAILED else 0
    except (RunError, OSError) as error:
        sys.stderr.write(f"{sentence(error)}\n")
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
