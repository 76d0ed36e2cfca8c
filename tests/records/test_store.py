"""Storage of runs: records, folders, locks and schema versions."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made import block, record

from harness.errors import UserError
from harness.records.plan import Plan
from harness.records.store import Store, replace_file, runs_of

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
        again.unlock()
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
    reference = results / "reference" / "old"
    reference.mkdir(parents=True)
    (reference / "plan.json").write_text('{"began": "2999-01-01T00:00:00+00:00"}')
    assert Store.latest(results).folder == newer.folder
    with pytest.raises(UserError, match="there is no run in it yet"):
        Store.latest(tmp_path / "empty")


def test_runs_are_ordered_by_their_beginning_and_not_by_file_times(store):
    results = store.folder.parent.parent
    newer = Store.create(results, PLAN, "")
    store.append(replicate(0))
    store.keep(replace(PLAN, remarks=("resumed later",)))
    for age, folder in enumerate((newer.folder, store.folder)):
        for file in folder.iterdir():
            os.utime(file, (1e9 + age, 1e9 + age))
    assert runs_of(results, "suite") == [store.folder, newer.folder]
    # A copy is beside its original, whatever its name is.
    for name in ("0-copy", "zz-copy"):
        shutil.copytree(store.folder, store.folder.parent / name)
    assert [folder.name for folder in runs_of(results, "suite")][-1] == newer.folder.name


def test_a_run_without_a_beginning_is_ordered_by_its_first_record_or_its_name(tmp_path):
    def old(name: str, *at: str) -> Path:
        folder = tmp_path / "suite" / name
        folder.mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(PLAN.to_json()))
        Store(folder).write("records.jsonl", "")
        Store(folder).append([replace(record, at=time) for record, time in zip(replicate(0), at, strict=False)])
        return folder

    first = old("z", "2030-01-01T00:00:00+02:00", "2029-01-01T00:00:00+00:00")
    third = old("a", "2030-01-01T00:00:00+01:00")
    # An executor of a third party may give a time without a zone, or none at all.
    second = old("b", "2029-12-31T22:30:00")
    last, nameless = old("2031-01-01T000000-1", ""), old("copy", "")
    os.utime(first / "plan.json", (2e9, 2e9))
    assert runs_of(tmp_path, "suite") == [nameless, first, second, third, last]


def test_a_run_that_cannot_be_read_does_not_hide_the_others(store):
    results = store.folder.parent.parent
    for name, text in (("broken", "{"), ("list", "[]"), ("number", '{"began": 3}')):
        (store.folder.parent / name).mkdir()
        (store.folder.parent / name / "plan.json").write_text(text)
    assert Store.latest(results).folder == store.folder


def test_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        Store.open(tmp_path)


def test_unwritable_results_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write results there"):
        Store.create(tmp_path / "file", PLAN, "")


def test_a_full_disk_keeps_earlier_records_and_names_the_file(store, monkeypatch):
    store.append(replicate(0))
    before = (store.folder / "records.jsonl").read_bytes()
    write = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(UserError, match="the system reports: No space left on device") as caught:
        store.append(replicate(1))
    assert caught.value.where == str(store.folder / "records.jsonl")
    assert caught.value.fix.endswith(f"Continue with: harness run --resume {store.folder}")
    assert (store.folder / "records.jsonl").read_bytes() == before


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    replace_file(path, b"before")

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="report") as caught:
        replace_file(path, b"after", sync=True)
    assert caught.value.errno == errno.EDQUOT
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path, monkeypatch):
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UserError, match="cannot write results there: No space left on device"):
        Store.create(tmp_path, PLAN, "")
    assert not list((tmp_path / "suite").iterdir())


def test_an_empty_run_is_removed_unless_another_process_measures_into_it(store):
    store.lock()
    Store(store.folder).discard_if_empty()
    assert store.folder.exists()
    store.unlock()
    store.discard_if_empty()
    assert not store.folder.exists()
