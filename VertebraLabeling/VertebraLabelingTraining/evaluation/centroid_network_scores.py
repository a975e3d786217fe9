"""How far a centroid network's points lie from the truth of held-out scans, by itself.

    python -m VertebraLabelingTraining.evaluation.centroid_network_scores --data DATA \\
        --splits DATA/splits.json --fold 0 --run runs/fold-0/placing

Each whole vertebra of the fold is placed as the product does it (:func:`.centroid_refinement.place`) from a starting
point that lies a few mm off its true center, drawn at random. Names and the finding of bodies play no part. The errors
are those of the network, which has not seen these patients, plus those of the truth itself. Prints a table for each
set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError, WeightsError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.networks.centroid_network import CentroidNetwork
from VertebraLabelingLib.networks.weights import load_parts
from VertebraLabelingLib.pipeline.centroid_refinement import place
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.scans.read_scan import read_volume

from ..data.cases import find_cases, fold_names, truth_file
from ..networks.trainer import CHECKPOINT
from .crossval import refuse_seen

AWAY_MM = 2.0  # standard deviation of the starting points along each axis


def read_network(path: Path, names: Sequence[str]) -> CentroidNetwork:
    """The centroid network of a run folder, or of a model file, ready for use.

    Raises:
        InputError: the model has no centroid network.
        ValueError: it was trained on one of the cases ``names``.
        WeightsError: the model is damaged.
    """
    run = path.is_dir()
    refuse_seen(path / CHECKPOINT if run else path, names)
    if run:
        tensors = torch.load(path / CHECKPOINT, map_location="cpu", weights_only=True)["average"]
    else:
        tensors = load_parts(path).get("placing")
    if tensors is None:
        raise InputError(f"{path.name} has no centroid network: give a model that has one.")
    network = CentroidNetwork()
    network.load_state_dict(tensors)
    return network.eval()


def errors_of(volume: Volume, truth: np.ndarray, network: CentroidNetwork, rng: np.random.Generator) -> np.ndarray:
    """(N,) mm from the placed points to the truth (N, 3), world RAS mm, each started :data:`AWAY_MM` off."""
    start = truth + rng.normal(0, AWAY_MM, truth.shape)
    k = len(LEVELS)
    evidence = Evidence(start, np.zeros((len(start), k)), np.ones(len(start)), np.full(k, 0.5), volume.corners)
    return np.linalg.norm(place(evidence, PreparedScan.of(volume), network).points - truth, axis=1)


def table(errors: dict[str, list[np.ndarray]]) -> str:
    """Mean, median and 95 % of the errors of each set."""
    lines = ["| set | scans | n | mean mm | median | 95 % |", "|---|---|---|---|---|---|"]
    for name, scans in sorted(errors.items()):
        mm = np.concatenate(scans)
        median, most = np.percentile(mm, (50, 95))
        lines.append(f"| {name} | {len(scans)} | {len(mm)} | {mm.mean():.2f} | {median:.2f} | {most:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CT with truth")
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--run", type=Path, required=True, help="run folder of a centroid network, or a model file")
    options = parser.parse_args(arguments)
    try:
        names = fold_names(options.splits, options.fold)
        found = {name: ct for name, ct in find_cases([options.data]).items() if name in names}
        network = read_network(options.run, list(found))
        errors: dict[str, list[np.ndarray]] = {}
        for name, ct in found.items():
            whole = [point.ras for point in read_points(truth_file(ct, name)) if not point.cut]
            rng = np.random.default_rng(list(name.encode()))
            if whole:
                scan = errors_of(read_volume(ct), np.array(whole), network, rng)
                errors.setdefault(name.split("/")[0], []).append(scan)
        if not errors:
            raise InputError(f"No scan of fold {options.fold} was found in {options.data}: give the project's data.")
    except (InputError, WeightsError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(errors))
    return 0


if __name__ == "__main__":
    sys.exit(main())
