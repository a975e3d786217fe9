"""How exactly points are carried to another scan, how often that is refused, and whether something wrong is not.

    python -m VertebraLabelingTraining.evaluation.carry_scores DATA --json scores.jsonl [--cases a,b]

``DATA`` holds ``<case>.nii.gz`` with ``<case>.mrk.json``. Each patient is scanned again (:mod:`.moved_patient`) in a
random pose, as CT and as simulated MR, whole and in part; the scan of the patient before is the wrong one.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.preprocessing.ct_check import to_hounsfield
from VertebraLabelingLib.registration.carry import find_fit
from VertebraLabelingLib.scans.read_scan import read_volume

from .moved_patient import Pose, as_mr, part_around, scanned_again

TURN_DEG, SHIFT_MM, BEND_DEG = 8.0, 80.0, (25.0, 10.0)
PART = 7  # vertebrae that a part shows: a lumbar or thoracic MR
OTHER = "another patient"
WRONG_MM = 10.0  # a mean error above is another vertebra, or nearly


def read_case(folder: Path, case: str) -> tuple[Volume, SpineLabels]:
    """A CT in HU, and its vertebrae that the edge of the image does not cut."""
    volume = to_hounsfield(read_volume(folder / f"{case}.nii.gz"))
    points = (point for point in read_points(folder / f"{case}.mrk.json") if not point.cut)
    return volume, SpineLabels(tuple(LabeledPoint(point.level, point.ras) for point in points))


def pose_of(rng: np.random.Generator) -> Pose:
    """A random pose: turned, moved, and bent to the front or back."""
    bend = rng.choice((-1, 1)) * rng.uniform(10.0, BEND_DEG[0]), rng.uniform(-BEND_DEG[1], BEND_DEG[1])
    turn, shift = rng.uniform(-TURN_DEG, TURN_DEG, 3), rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    return Pose(tuple(turn.tolist()), tuple(shift.tolist()), tuple(map(float, bend)))


def score(task: str, case: str, volume: Volume, labels: SpineLabels, target: Volume, truth: SpineLabels | None) -> dict:
    """One line of the result: errors of the vertebrae that are carried, the estimate, and why it was refused."""
    started = time.process_time()
    line = {"case": case, "task": task, "errors_mm": {}, "refused": ""}
    try:
        fit = find_fit(volume, labels, target)
    except VertebraLabelingError as error:
        return {**line, "refused": str(error), "cpu_s": round(time.process_time() - started, 1)}
    seen = fit.pieces.seen
    if truth is not None:
        away = np.linalg.norm(fit.pieces.places - [p.ras for p in truth.points], axis=1)
        line["errors_mm"] = {p.level: round(float(e), 2) for p, e, s in zip(labels.points, away, seen) if s}
    return {
        **line,
        "refused": fit.fault,
        "estimates_mm": {p.level: round(float(e), 2) for p, e, s in zip(labels.points, fit.errors_mm, seen) if s},
        "evidence": round(fit.mean_evidence, 3),
        "lead": round(min(fit.lead, 99.0), 2),
        "stretch_mm": round(float(np.nanmax(np.abs(fit.stretch), initial=0.0)), 2),
        "spread_mm": round(float(fit.pieces.spread[seen].max(initial=0.0)), 2),
        "cpu_s": round(time.process_time() - started, 1),
    }


def scores_of(folder: Path, cases: list[str]):
    """All lines, one case after the other."""
    before = None
    for number, case in enumerate(cases):
        rng = np.random.default_rng(number)
        volume, labels = read_case(folder, case)
        target, truth = scanned_again(volume, labels, pose_of(rng))
        shown = np.array([point.ras for point in truth.points[-PART:]])
        for contrast in ("CT", "T1", "T2", "inverted"):
            yield score(contrast, case, volume, labels, as_mr(target, contrast, rng), truth)
        part = part_around(as_mr(target, "T2", rng), shown)
        yield score(f"T2, {PART} vertebrae", case, volume, labels, part, truth)
        if before is not None:
            for contrast in ("CT", "T1"):
                yield score(f"{OTHER}, {contrast}", case, volume, labels, as_mr(before, contrast, rng), None)
        before = target


def table(lines: list[dict]) -> str:
    """For each task: scans, refused, mean and largest error of what was not refused, estimate, and wrong ones."""
    rows = [f"{'task':<24}{'scans':>6}{'refused':>8}{'mean mm':>9}{'max mm':>8}{'told mm':>9}{'wrong':>7}"]
    for task in dict.fromkeys(line["task"] for line in lines):
        mine = [line for line in lines if line["task"] == task]
        taken = [line for line in mine if not line["refused"]]
        errors = [value for line in taken for value in line["errors_mm"].values()]
        told = [value for line in taken for value in line["estimates_mm"].values()]
        wrong = sum(task.startswith(OTHER) or np.mean(list(line["errors_mm"].values())) > WRONG_MM for line in taken)
        measures = (np.mean, errors), (max, errors), (np.mean, told)
        numbers = [f"{measure(values):.2f}" if values else "-" for measure, values in measures]
        counts = f"{task:<24}{len(mine):>6}{len(mine) - len(taken):>8}"
        rows.append(f"{counts}{numbers[0]:>9}{numbers[1]:>8}{numbers[2]:>9}{wrong:>7}")
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> int:
    """Write one JSON object a line while it goes on, and print the table at the end."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--cases", default="")
    arguments = parser.parse_args(argv)
    cases = [case for case in arguments.cases.split(",") if case]
    cases = cases or sorted(path.name[: -len(".nii.gz")] for path in arguments.data.glob("*.nii.gz"))
    lines = []
    with arguments.json.open("w", encoding="utf-8") as file:
        for line in scores_of(arguments.data, cases):
            lines.append(line)
            file.write(json.dumps(line) + "\n")
            file.flush()
    print(table(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
