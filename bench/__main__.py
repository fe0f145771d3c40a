"""`make bench`: every benchmark in turn, each in its own process; prints figures and ratios, asserts nothing.

A benchmark is a module bench/NAME.py with a `main()`; `python -m bench NAME…` runs only those.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    names = sys.argv[1:] or sorted(f.stem for f in Path(__file__).parent.glob("*.py") if not f.stem.startswith("_"))
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"broke off: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
