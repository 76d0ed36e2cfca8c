"""Write the pages that are made from the code and the stored runs.

These are docs/reference/, docs/findings/, docs/what-works.md, and results/reference/claims.md.

python docs/generate.py            writes them
python docs/generate.py --check    writes nothing, shows which pages are not current, and ends with exit code 1 if any
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from _generate import FOLDERS, pages

ROOT = Path(__file__).resolve().parents[1]
#: The number of lines that are shown of a difference.
SHOWN = 20


def main() -> int:
    """Write or check the pages. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated pages of the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with code 1 if a page is outdated")
    checks = parser.parse_args().check
    made = {ROOT / name: content for name, content in pages(ROOT).items()}
    stray = {path for folder in FOLDERS for path in (ROOT / folder).glob("*")} - set(made)
    if checks:
        drifted = [line for path, content in made.items() for line in drift(path, content)]
        drifted += [f"{path.relative_to(ROOT)}: nothing generates this file" for path in sorted(stray)]
        if drifted:
            print(*drifted, "Run python docs/generate.py and check its changes.", sep="\n")
        return 1 if drifted else 0
    for path, content in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    for path in stray:
        path.unlink()
    return 0


def drift(path: Path, content: bytes) -> Iterator[str]:
    """The differences between a page and its generated content, shortened."""
    name = str(path.relative_to(ROOT))
    if not path.is_file():
        yield f"{name}: missing"
    elif path.read_bytes() == content:
        return
    elif path.suffix != ".md":
        yield f"{name}: not current"
    else:
        yield f"{name}: not current"
        old, new = path.read_text(encoding="utf-8").splitlines(), content.decode().splitlines()
        lines = list(difflib.unified_diff(old, new, "now", "generated", lineterm="", n=0))
        yield from lines[:SHOWN]
        if len(lines) > SHOWN:
            yield f"... and {len(lines) - SHOWN} more lines"


if __name__ == "__main__":
    sys.exit(main())
