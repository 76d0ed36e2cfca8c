"""Draw the pictures of the README and of the site from a stored run, into docs/_static/.

terminal.svg is what the run prints at 80 columns, report.png the first screen of its report, and card.png the image of
a link in social networks. The script needs chromium and the extra `plot`:

python docs/pictures.py            draws them again
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from rich.console import Console

from _generate.catalog import catalog_of
from harness.records.store import Store
from harness.report.formats import screen
from harness.report.report import Report, make_report

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "docs" / "_static"
#: The run of another machine, if there is one: it is newer than the reference run.
RUN = next(iter(sorted((ROOT / "results").glob("machines/*/packing"))), ROOT / "results" / "reference" / "packing")
COMMAND = f"harness run suites/{RUN.name}.yaml"
#: What a README may load at most, in bytes.
LARGEST = 200_000
CARD = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; width: 1200px; height: 630px; box-sizing: border-box; padding: 56px 80px; background: #0f2a36;
  color: #f2f7f9; font: 34px/1.4 system-ui, sans-serif; }}
h1 {{ margin: 0; font-size: 92px; line-height: 1; letter-spacing: -2px; }}
p {{ margin: 26px 0 0; }}
.question {{ font-size: 40px; font-weight: 600; color: #8fd6ec; }}
.run {{ margin-top: 36px; padding: 24px 34px; background: #173a49; border-radius: 14px; font-size: 32px; }}
code {{ color: #9fb8c2; font-size: 28px; }}
</style><h1>harness</h1><p class="question">Does this choice actually help, and by how much?</p>
<div class="run"><code>$ {command}</code><p style="margin-top: 12px">{answer}</p></div>
<p>For people who train sequence models in PyTorch</p>
"""


def main() -> int:
    """Draw the pictures. Returns the exit code."""
    report = make_report(Store.open(RUN), catalog_of(ROOT))
    (STATIC / "terminal.svg").write_text(terminal(report), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(RUN, Path(folder) / RUN.name, ignore=shutil.ignore_patterns("report.*", "plots"))
        subprocess.run([sys.executable, "-m", "harness", "report", str(copy)], check=True, stdout=subprocess.DEVNULL)
        photograph(copy / "report.html", STATIC / "report.png", 1200, 860)
        card = Path(folder) / "card.html"
        card.write_text(CARD.format(command=escape(COMMAND), answer=escape(report.answer)), encoding="utf-8")
        photograph(card, STATIC / "card.png", 1200, 630)
    large = [path.name for path in STATIC.glob("*.*") if path.stat().st_size > LARGEST]
    if large:
        print(f"Too large, over {LARGEST:,} bytes: {', '.join(large)}")
    return 1 if large else 0


def terminal(report: Report) -> str:
    """What the run prints on 80 columns, as SVG without fonts from elsewhere."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f"$ {COMMAND}\n", markup=False, highlight=False)
    screen.draw(report, console)
    drawn = console.export_svg(title="harness", unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


def photograph(page: Path, to: Path, width: int, height: int) -> None:
    """The top of a page as a PNG file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium is not installed")
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--window-size={width},{height}", f"--screenshot={to}", page.as_uri(),
        ],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
