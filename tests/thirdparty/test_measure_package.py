"""An installed package adds a kind of measurement: suite fields, stored data, a section of the report, and claims."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import call, lines_of

import harness

SUITE = """
question: Is the gradient of the larger model noisier?
base:
  model: {name: scratch_lstm, hidden_size: 8, embedding_size: 8}
  dataset: {name: lengths, batch_size: 16}
  use: [adam]
axes: {hidden: {path: model.hidden_size, values: [8, 16]}}
compare: {axis: hidden, baseline: "8"}
measure: {noise: {batches: 4}}
claims: [{says: More gradient, level: "16", metric: gradient_elements, expect: higher}]
"""
SUMMARY = "gradient noise scale: the batch size from which on larger batches reduce the noise little"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The suite's run: the finished command and the run's folder."""
    home = tmp_path_factory.mktemp("noise")
    (home / "noise.yaml").write_text(SUITE)
    done = call("run", "noise.yaml", cwd=home)
    assert done.returncode == 0, done.stderr
    (folder,) = (home / "results" / "noise").iterdir()
    return done, folder


def test_run_stores_the_data_of_the_kind(ran):
    _, folder = ran
    stored = {line["level"]: line for line in lines_of(folder) if line["measure"] == "noise"}
    assert stored.keys() == {"8", "16"}
    for record in stored.values():
        assert record["outcome"] == "ok"
        data = record["data"]
        assert (data["batch_size"], data["batches"], len(data["small"])) == (16, 4, 4)
        assert min(*data["small"], data["large"]) > 0
    assert stored["16"]["data"]["elements"] > stored["8"]["data"]["elements"] > 0
    measures = json.loads((folder / "plan.json").read_text())["blocks"][0]["measures"]
    assert measures == {"limit": 60.0, "noise": {"batches": 4}}


def test_text_and_html_reports_have_a_section_of_the_kind(ran):
    _, folder = ran
    page, whole = (folder / "report.html").read_text(), (folder / "report.txt").read_text()
    for text in (whole, page, (folder / "report.md").read_text()):
        assert f"G{SUMMARY[1:]}." in text
        assert "gradient elements" in text
        assert "noise scale" in text
    assert "\nNoise. G" in whole
    assert "all: noise\n" in whole
    assert ">Noise</h2>" in page


def test_json_and_csv_reports_have_its_quantities(ran):
    _, folder = ran
    stored = {line["level"]: line["data"]["elements"] for line in lines_of(folder) if line["measure"] == "noise"}
    resources = json.loads((folder / "report.json").read_text())["resources"]
    rows = {(row["level"], row["quantity"]): row for row in resources}
    assert rows.keys() == {(level, name) for level in ("8", "16") for name in ("gradient_elements", "noise_scale")}
    assert rows["16", "gradient_elements"]["verdict"] == "more"
    assert rows["16", "gradient_elements"]["ratio"] == pytest.approx(stored["16"] / stored["8"])
    assert rows["8", "noise_scale"]["value"] > 0
    with (folder / "tables" / "resources.csv").open(newline="") as file:
        assert {row["quantity"] for row in csv.DictReader(file)} == {"gradient_elements", "noise_scale"}


def test_claim_about_an_exact_quantity_is_decided(ran):
    done, folder = ran
    shown = " ".join(done.stdout.split())
    assert 'True: "More gradient" (tested: higher). 16 has 1.13 times the gradient elements of 8 (exact).' in shown
    (claim,) = json.loads((folder / "report.json").read_text())["claims"]
    assert (claim["claim"], claim["answer"], claim["reason"]) == ("More gradient", "holds", "exactly 1.13")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batches: 4", "batchs: 4", "noise.yaml:9:19: there is no field 'batchs' here. Did you mean batches?"),
        ("noise: {", "nois: {", "noise.yaml:9:11: there is no field 'nois' here. Did you mean noise?"),
        ("batches: 4", "batches: 1", "batches: input should be greater than or equal to 2"),
        (
            "gradient_elements",
            "gradient_element",
            "noise.yaml:10:53: there is no metric named 'gradient_element'. Did you mean gradient_elements?",
        ),
        (
            "gradient_elements",
            "noise_scale",
            "noise.yaml:10:53: noise_scale is neither exact nor does it have an interval, so it cannot decide a claim.",
        ),
    ],
)
def test_wrong_suite_is_rejected_with_the_reason(tmp_path, old, new, message):
    assert SUITE.count(old) == 1
    (tmp_path / "noise.yaml").write_text(SUITE.replace(old, new))
    done = call("check", "noise.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_list_and_describe_name_the_kind(tmp_path):
    assert f"\n  noise  {SUMMARY}  (guest-noise)\n" in call("list", "measures", cwd=tmp_path).stdout.replace("   ", "")
    parts = json.loads(call("list", "measures", "--json", cwd=tmp_path).stdout)["parts"]
    assert {
        "kind": "measure",
        "name": "noise",
        "plugin": "guest-noise",
        "version": "0.1.0",
        "summary": SUMMARY,
    } in parts
    described = " ".join(call("describe", "noise", cwd=tmp_path).stdout.split())
    assert described.startswith(f"measure noise: {SUMMARY} (guest-noise 0.1.0) ")
    assert "source: McCandlish et al. 2018" in described
    assert " parameters batches: integer = 8 " in described


def test_without_the_package_its_field_is_unknown_and_its_records_are_named(ran, tmp_path):
    _, folder = ran
    (tmp_path / "noise.yaml").write_text(SUITE)
    done = call("--without", "guest-noise", "check", "noise.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "noise.yaml:9:11: there is no field 'noise' here. Known: cost, health" in done.stderr
    again = tmp_path / "copy"
    again.mkdir()
    for name in ("plan.json", "machine.json", "records.jsonl", "suite.yaml"):
        (again / name).write_bytes((folder / name).read_bytes())
    report = json.loads(call("--without", "guest-noise", "report", again, "--json", cwd=tmp_path).stdout)
    assert report["problems"] == ["no plugin provides the kind of measurement 'noise', so its records are not shown"]
    assert report["resources"] == []
    assert [claim["answer"] for claim in report["claims"]] == ["undecided"]


def test_no_file_of_the_core_names_the_package():
    files = [path for path in Path(harness.__file__).parent.rglob("*") if path.suffix not in (".pyc", "")]
    assert len(files) > 100
    for path in files:
        text = path.read_bytes().lower()
        for name in (b"guest_noise", b"guest-noise", b"noise_scale", b"noise scale"):
            assert name not in text, path
