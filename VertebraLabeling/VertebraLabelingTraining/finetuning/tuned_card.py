"""The model card of fine-tuned weights: parent, own cases, scores before and after, inherited licenses."""

from __future__ import annotations

from pathlib import Path

from VertebraLabelingLib.networks.model_card import read_licenses
from VertebraLabelingLib.networks.weights import read_card
from VertebraLabelingLib.system.atomic import write_text

from ..evaluation.validation import table


def write_tuned_card(weights: Path, parent: Path, before: dict, after: dict) -> None:
    """Write ``<weights>.md`` beside a fine-tuned model and its ``.json``.

    Args:
        weights: the fine-tuned model file.
        parent: the model file it was made from.
        before: score of the parent on the validation cases (:func:`validation.score_model`).
        after: score of the fine-tuned model on the same cases.
    """
    card, origin = read_card(weights), read_card(parent)
    training = card["training"]
    own, held_out = training["own_cases"], training["validation"]["cases"]
    licenses = read_licenses(parent)
    sources = [(f"{parent.stem}, version {origin['version']}: see its card", "as its card says")]
    if licenses:
        sources = list(licenses.sources)
    sources.append((f"own scans of whoever fine-tuned ({len(own)})", "not stated"))
    text = f"""# Model card: {weights.stem}

| | |
|---|---|
| file | `{weights.name}`, fp16; SHA-256 `{card["sha256"]}` |
| version | {card["version"]} |
| parent | `{parent.name}`, version {origin["version"]}, SHA-256 `{origin["sha256"]}` |
| license of the weights | {licenses.weights if licenses else "that of the parent"} |

**Not a medical device.** For research. Every level must be checked by a qualified reader.

Fine-tuned by `vertebra-labeling train --init`: {training["steps"]} steps, seed {training["config"]["seed"]}, learning
rate {training["config"]["learning_rate"]:g}. Settings and all cases are in `{weights.with_suffix(".json").name}`.

## What it has seen

| source | license |
|---|---|
{chr(10).join(f"| {source} | {license} |" for source, license in sources)}

## Before and after

On {len(held_out)} validation cases that neither the parent nor the fine-tuning has seen
({_listed(held_out)}), labeled by the whole pipeline:

```
{table(before, after)}
```

Where the points of these cases are predictions of the parent that were corrected, the mean error favors the parent: at
points that nobody moved it has none.

So few cases say little about other scanners and patients, and nothing about what the parent was good at before: the
parent's training data were not seen again.
"""
    write_text(weights.with_suffix(".md"), text)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
