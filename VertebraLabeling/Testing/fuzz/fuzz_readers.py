"""Fuzz one reader of our own formats with atheris (libFuzzer, guided by coverage).

    python VertebraLabeling/Testing/fuzz/fuzz_readers.py READER [-max_total_time=60] [-seed=1] [CORPUS FOLDER]

READER is a key of ``own_readers.READERS``: ``mrk.json``, ``verse.json``, ``evidence``, ``model card``, ``training
config``, ``list of scans``, ``text list of scans``, ``journal``. An input that is neither refused in one sentence nor
read into a sound result ends the run; libFuzzer leaves it as ``crash-<hash>``.
Needs ``pip install atheris`` (Linux, Python 3.11 to 3.13).
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

TESTING = Path(__file__).resolve().parents[1] / "Python"
sys.path[:0] = [str(TESTING.parents[1]), str(TESTING / "hardening"), str(TESTING / "unit")]

with atheris.instrument_imports(include=["VertebraLabelingLib"]):
    import own_readers
from damaged_values import randomly_damaged  # noqa: E402

MOST_BYTES = 4096


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time a wrong value at one place of the JSON document, else what libFuzzer does to bytes."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        try:
            text = json.dumps(randomly_damaged(json.loads(data), chance)).encode()
            if len(text) <= most:
                return text
        except (ValueError, RecursionError, OverflowError):
            pass
    return atheris.Mutate(data, most)


def main() -> None:
    """Fuzz the reader named first on the command line."""
    reader = own_readers.READERS[sys.argv.pop(1)]
    os.fsync = lambda descriptor: None  # what is written here need not survive a power cut
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{reader.suffix}"
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        (corpus / "sound").write_bytes(reader.sound())

        def one(data: bytes) -> None:
            problem = own_readers.problem_with(reader, data, path)
            if problem:
                raise AssertionError(problem)

        options = [f"-max_len={MOST_BYTES}", "-rss_limit_mb=2048", "-timeout=20", "-verbosity=0"]
        atheris.Setup([*sys.argv[:1], *options, *sys.argv[1:], str(corpus)], one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
