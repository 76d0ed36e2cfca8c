"""Storage of runs: records, folders, locks and schema versions."""

from __future__ import annotations

import json
import os

import pytest
from made import block, record

from harness.errors import UserError
from harness.records.plan import Plan
from harness.records.store import Store

PLAN = Plan("suite", "q?", "what", (block("a", "b"),))


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "results", PLAN, "question: q?")


def replicate(number: int):
    return [record(PLAN.blocks[0], level, number, [1, 2]) for level in "ab"]


def test_appended_records_are_read_back(store):
    store.append(replicate(0))
    store.append(replicate(1))
    assert store.records() == replicate(0) + replicate(1)
    assert json.dumps(store.plan().to_json()) == json.dumps(PLAN.to_json())


def test_a_replicate_is_one_write(store, monkeypatch):
    writes = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: writes.append("fsync") or fsync(fd))
    store.append(replicate(0))
    assert writes == ["write", "fsync"]


def test_incomplete_replicate_is_ignored_and_truncated_on_resume(store):
    store.append(replicate(0))
    path = store.folder / "records.jsonl"
    whole = path.read_bytes()
    line = (json.dumps(replicate(1)[0].to_json()) + "\n").encode()
    for torn in (line, line[:-10], line + line[:50]):
        path.write_bytes(whole + torn)
        assert store.records() == replicate(0)
        again = Store(store.folder)
        again.lock()
        assert path.read_bytes() == whole
        os.close(again._lock)
    store.append(replicate(1))
    assert store.records() == replicate(0) + replicate(1)


def test_a_damaged_line_is_named(store):
    store.append(replicate(0))
    path = store.folder / "records.jsonl"
    path.write_text("{broken\n" + path.read_text())
    with pytest.raises(UserError, match=r"records.jsonl:1: this line is damaged"):
        store.records()


def test_records_of_another_version_are_refused(store):
    path = store.folder / "records.jsonl"
    path.write_text(json.dumps({**replicate(0)[0].to_json(), "schema": 99}) + "\n")
    with pytest.raises(UserError, match="written by another version"):
        store.records()


def test_two_processes_cannot_measure_into_one_run(store):
    store.lock()
    with pytest.raises(UserError, match="another process is measuring"):
        Store(store.folder).lock()


def test_runs_in_the_same_second_get_separate_folders(tmp_path):
    folders = {Store.create(tmp_path, PLAN, "").folder for _ in range(3)}
    assert len(folders) == 3


def test_latest_run_is_found_and_reference_is_excluded(tmp_path, store):
    results = store.folder.parent.parent
    newer = Store.create(results, PLAN, "")
    os.utime(newer.folder / "plan.json", (2e9, 2e9))
    reference = results / "reference" / "old"
    reference.mkdir(parents=True)
    (reference / "plan.json").write_text("{}")
    os.utime(reference / "plan.json", (3e9, 3e9))
    assert Store.latest(results).folder == newer.folder
    with pytest.raises(UserError, match="there is no run in it yet"):
        Store.latest(tmp_path / "empty")


def test_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        Store.open(tmp_path)


def test_unwritable_results_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write results there"):
        Store.create(tmp_path / "file", PLAN, "")
