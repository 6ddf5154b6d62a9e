"""``python -m rgflow``."""

from __future__ import annotations

import sys

from rgflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
