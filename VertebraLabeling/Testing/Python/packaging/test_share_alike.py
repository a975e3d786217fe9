"""What the model card says of the one source that makes the weights share-alike is what the code reads and has read."""

from __future__ import annotations

import json
import re
from pathlib import Path

from VertebraLabelingLib.core.spacing import VERSE_SPACING
from VertebraLabelingLib.networks.model_card import read_licenses
from VertebraLabelingLib.networks.weights import default_weights

MODULE = Path(__file__).resolve().parents[3]
CARD = default_weights().with_suffix(".md")


def test_the_card_counts_the_cases_made_with_verse004():
    cases = json.loads(default_weights().with_suffix(".json").read_text())["training"]["cases"]
    synthetic = [name for name in cases if "synthetic" in name]
    of_verse = [name for name in cases if "verse" in name]
    assert f"{len(of_verse)} of the {len(synthetic)} synthetic cases" in CARD.read_text()
    assert set(of_verse) <= set(synthetic) and all("+verse004" in name for name in of_verse)
    assert f"{len(VERSE_SPACING)} mean distances" in CARD.read_text()


def test_verse004_is_the_only_share_alike_source_and_read_in_one_file_only():
    share_alike = [source for source, terms in read_licenses(default_weights()).sources if "BY-SA" in terms]
    assert len(share_alike) == 1 and "verse004" in share_alike[0]
    folder = MODULE / "VertebraLabelingTraining"
    readers = {
        path.name for path in folder.rglob("*.py") if re.search(r"sub-verse|\bVID\b|landmarks/", path.read_text())
    }
    assert readers == {"sources.py"}
