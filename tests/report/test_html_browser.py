"""A real browser opens report.html: it sorts, filters, changes colours, fits a small screen, and loads nothing.

The page is in an iframe, whose parent's script may read and change it. So the page is tested unchanged, with its own
policy. Where no Chromium is installed, the tests are skipped.
"""

from __future__ import annotations

import html as escaping
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from made import block, record

from harness.records.plan import Claim, Plan
from harness.records.store import Store
from harness.report.formats import html
from harness.report.report import make_report, report_of

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open pages with")

LEVELS = ("slow", "fast", "a level whose name is long enough to need more room than a telephone has", "<script>")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000",
)  # fmt: skip

#: Addresses that Chromium requests for every page.
OWN = re.compile(r"^https?://([\w-]+\.)*(google|googleapis|gstatic|gvt1)\.com[/:]")

LOOK = """
const said = {};
const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
const table = page.querySelector("table"), head = [...table.tHead.rows[0].cells];
const column = (name) => head.findIndex((cell) => cell.textContent === name);
const shown = (name) => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[column(name)].textContent);
const press = (name) => head[column(name)].querySelector("button").click();
said.rows = table.tBodies[0].rows.length;
said.overflow = [root.scrollWidth, view.innerWidth];
said.contents = page.getElementById("contents").open;
said.cut = shown("ratio").length;
said.unsorted = head.map((cell) => cell.getAttribute("aria-sort"));
press("ratio");
said.ascending = shown("ratio");
said.marked = head[column("ratio")].getAttribute("aria-sort");
press("ratio");
said.descending = shown("ratio");
press("step time");
said.times = shown("step time");
said.others = head[column("ratio")].getAttribute("aria-sort");
page.querySelector("button.all").click();
said.all = shown("ratio").length;
const filter = page.querySelector("input[type=search]");
filter.value = "Context 3";
filter.dispatchEvent(new view.Event("input"));
said.filtered = [...new Set(shown("context"))];
said.status = page.querySelector("[role=status]").textContent;
const theme = page.getElementById("theme"), colour = () => view.getComputedStyle(page.body).backgroundColor;
said.themes = [0, 1, 2].map(() => { theme.click(); return [theme.textContent, colour()]; });
said.unreachable = [...page.querySelectorAll(".scroll")].filter((one) => one.tabIndex < 0).length;
said.loaded = view.performance.getEntriesByType("resource").map((one) => one.name);
said.title = page.title;
const seen = [...page.querySelectorAll("svg")].filter((svg) => svg.getClientRects().length);
said.plots = seen.map((svg) => [svg.getBoundingClientRect().width > 300, svg.getAttribute("role")]);
"""
#: Which boxes that can be scrolled have more to show, and which elements end outside the window.
FIT = """
const said = {};
const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
said.overflow = [root.scrollWidth, view.innerWidth];
said.cut = [...page.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => one.getAttribute("aria-label"));
said.first = page.querySelector(".answer").getBoundingClientRect().bottom;
said.plot = [...page.querySelectorAll(".first svg")].filter((svg) => svg.getClientRects().length)
  .map((svg) => svg.getBoundingClientRect().bottom);
"""
#: What is found is the content of an element.
ANSWER = """
document.body.innerHTML = "";
const result = document.createElement("pre");
result.id = "said";
result.textContent = JSON.stringify(said);
document.body.append(result);
"""


def browse(tmp_path: Path, width: int, report: str, look: str = LOOK) -> tuple[dict, str, set[str]]:
    """The results of the script, the messages of the console, and all requested addresses."""
    outer = tmp_path / f"outer-{width}.html"
    frame = (
        f'<iframe id="frame" style="width:{width}px;height:900px;border:0" srcdoc="{escaping.escape(report)}"></iframe>'
    )
    # The parent may change the content of srcdoc; for a file, both have the same origin.
    outer.write_text(
        f'<!doctype html><meta charset="utf-8"><body style="margin:0">{frame}'
        f'<script>addEventListener("load", () => {{ const frame = document.getElementById("frame");\n{look}{ANSWER}\n}});</script>',
        encoding="utf-8",
    )
    log = tmp_path / f"net-{width}.json"
    command = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={tmp_path / f'profile-{width}'}",
        f"--log-net-log={log}",
        "--dump-dom",
    ]
    done = subprocess.run([*command, outer.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and not done.stdout:
        pytest.skip(f"Chromium does not start here: {done.stderr[-300:]}")
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    requested = set(
        re.findall(r'"url":\s*"((?:https?|wss?|ftp)://[^"]*)"', log.read_text(encoding="utf-8", errors="replace"))
    )
    return json.loads(escaping.unescape(found[1])), console, {url for url in requested if not OWN.search(url)}


@pytest.fixture(scope="module")
def page(catalog) -> str:
    blocks, records = [], []
    for number in range(8):
        this = replace(block("plain", *LEVELS), context={"where": f"context {number}"})
        blocks.append(this)
        for n in range(5):
            for i, level in enumerate(("plain", *LEVELS)):
                times = [1e6 * (1 + number) * 11**i * (1 + n / 1000)] * 10
                records.append(record(this, level, n, times))
    claim = Claim("It pays", "slow", "step_time", "lower", 0.0, "train", {}, "all", "ratio")
    facts = {"processor": "x" * 200, "packages": {"torch": "2"}}
    made = report_of(Plan("suite", "Which " * 30, "what", tuple(blocks), claims=(claim,)), records, catalog, facts)
    return html.render(made, "question: " + "which " * 50)


@pytest.mark.parametrize("width", [360, 1280])
def test_browser_shows_the_whole_page(page, tmp_path, width):
    said, console, requested = browse(tmp_path, width, page)
    assert console == ""
    assert requested == set()
    assert said["loaded"] == []
    scroll, inner = said["overflow"]
    assert scroll <= inner == width
    assert said["contents"] == (width > 1120)
    assert (said["rows"], said["cut"], said["all"]) == (40, html.ROWS, 40)
    assert set(said["unsorted"]) == {"none"}
    assert said["marked"] == "ascending"
    for order, down in (("ascending", False), ("descending", True)):
        numbers = [float(text) for text in said[order]]
        assert numbers == sorted(numbers, reverse=down)
        assert len(set(numbers)) > 1
    times = [float(text.split()[0].replace(",", "")) * {"ms": 1, "s": 1000}[text.split()[1]] for text in said["times"]]
    assert times == sorted(times)
    assert said["others"] == "none"
    assert said["filtered"] == ["context 3"]
    assert said["status"] == "5 of 40 rows are shown."
    assert [text for text, _ in said["themes"]] == ["Colours: light", "Colours: dark", "Colours: system"]
    assert said["themes"][0][1] != said["themes"][1][1]
    assert said["unreachable"] == 0
    assert said["plots"] == [[True, "img"]] * len(said["plots"])
    assert said["plots"]


def test_injected_markup_neither_runs_nor_loads(page, tmp_path):
    """Everything is escaped, so this cannot happen. If it did, the policy of the page would block it."""
    bad = (
        '<img src="https://harness.invalid/x.png" onerror="document.title = 1"><script>document.title = "ran"</script>'
    )
    said, console, requested = browse(tmp_path, 500, page.replace("</main>", f"{bad}</main>", 1))
    assert requested == set()
    assert said["title"].startswith("Which")
    assert console.count("Content Security Policy") >= 2


@pytest.fixture(scope="module")
def packing(catalog) -> str:
    folder = Path(__file__).parents[2] / "results" / "reference" / "packing"
    return html.render(make_report(Store.open(folder), catalog), (folder / "suite.yaml").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768), (1440, 900)])
def test_reference_run_fits_three_screens(packing, tmp_path, width, height):
    said, console, _ = browse(tmp_path, width, packing, FIT)
    assert console == ""
    scroll, inner = said["overflow"]
    assert scroll <= inner == width
    if width > 1000:
        assert said["cut"] == []
    (bottom,) = said["plot"]  # one of the two plots is visible, and as a whole
    assert said["first"] < bottom <= height


@pytest.mark.slow
def test_reference_run_is_printed_on_few_pages(packing, tmp_path):
    page, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(packing, encoding="utf-8")
    options = [f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer", f"--print-to-pdf={printed}"]
    subprocess.run([CHROMIUM, *QUIET, *options, page.as_uri()], capture_output=True, timeout=120, check=False)
    pages = re.findall(rb"/Type\s*/Page\b(?!s)", printed.read_bytes())
    assert 1 <= len(pages) <= 6
