"""Japanese Vowels: classify nine speakers by two vowels. The files come from an installed package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from random import Random

import torch

from harness import Data, FilePath
from harness_rnn.contract import SequenceFacts, Sequences, sequence_data
from harness_rnn.datasets.series_ts import read_ts
from harness_rnn.datasets.text import hash_of_text

#: Packages with the two files, and the folder inside them.
PACKAGES = ("aeon", "sktime")
INSIDE = "datasets/data/JapaneseVowels"
NAME = "JapaneseVowels_{part}.ts"
#: The number of coefficients per step, and of speakers.
FEATURES, SPEAKERS = 12, 9

Utterance = tuple[list[list[float]], int]


def japanese_vowels(*, path: FilePath | None = None) -> Data:
    """640 utterances of 7 to 29 steps. The label is one of nine speakers.

    Features are 12 LPC cepstrum coefficients per step, (L, 12). The data are from Kudo, Toyama and Shimbo (1999) in the
    UCI archive, in the official split: 270 utterances to train and 370 to test. The files JapaneseVowels_TRAIN.ts and
    JapaneseVowels_TEST.ts are read from the folder `path`, or from an installed `aeon` or `sktime`, which is not
    imported. Raises ValueError if a file is missing or has an invalid line.
    """
    train, test = (utterances(find(path, part)) for part in ("TRAIN", "TEST"))
    train = Random("japanese_vowels order").sample(train, len(train))  # the file is sorted by speaker

    def sequences(part: list[Utterance], first_id: int) -> Sequences:
        return Sequences([torch.tensor(steps) for steps, _ in part], [speaker for _, speaker in part], first_id)

    facts = SequenceFacts(vocabulary=0, classes=SPEAKERS, features=FEATURES)
    return sequence_data(sequences(train, 0), sequences(test, len(train)), facts)


def fingerprint(*, path: FilePath | None) -> str:
    """A hash of the contents of the two files."""
    return hash_of_text(repr(utterances(find(path, part))) for part in ("TRAIN", "TEST"))


def find(path: str | None, part: str) -> Path:
    """The file of one part. Raises ValueError with the searched places if it is missing."""
    name = NAME.format(part=part)
    if path is not None:
        if not (Path(path) / name).is_file():
            raise ValueError(f"{path} has no file {name}")
        return Path(path) / name
    for package in PACKAGES:
        found = find_spec(package)
        for place in (found.submodule_search_locations if found else None) or []:
            if (Path(place) / INSIDE / name).is_file():
                return Path(place) / INSIDE / name
    missing = f"no installed package ({', '.join(PACKAGES)}) has {name}"
    raise ValueError(f'{missing}; run pip install "rnn-harness-plugins[vowels]", or set path to its folder')


def utterances(path: Path) -> list[Utterance]:
    """Steps (L, 12) and speaker (0 to 8) of each line. Raises ValueError for the first invalid line."""
    found = []
    for channels, label, where in read_ts(path):
        if len(channels) != FEATURES:
            raise ValueError(f"{where}: expected {FEATURES} coefficients, got {len(channels)}")
        if label not in {str(speaker + 1) for speaker in range(SPEAKERS)}:
            raise ValueError(f"{where}: expected a speaker from 1 to {SPEAKERS}, got {label!r}")
        found.append(([list(step) for step in zip(*channels, strict=True)], int(label) - 1))
    return found
