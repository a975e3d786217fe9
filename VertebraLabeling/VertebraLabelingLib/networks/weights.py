"""Network weights: where they are, what they must hash to, how they are loaded and written.

A model is two files: ``<name>.pt`` (fp16 tensors) and ``<name>.json`` (its *card*: version, SHA-256, channel widths,
training summary). The hash is checked before the file is opened, and the file is opened with ``weights_only=True``, so
it can hold nothing but tensors.

Beside the tensors of :class:`detection_network.DetectionNetwork` a file holds those of its *parts*, with a name before
each: ``counting`` (:class:`level_network.LevelNetwork`), ``placing`` (:class:`centroid_network.CentroidNetwork`). A
training of the detection network alone makes a model without parts, which labels with that network alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.parameters import SHIPPED, PipelineParameters
from ..errors import WeightsError

FORMAT = 2
PARTS = ("counting", "placing")  # level network, centroid network: as files and folders of runs name them
DEFAULT_MODEL = "vertebra-labeling-9.pt"
MAX_WIDTH = 1024


@dataclass(frozen=True)
class Model:
    """A loaded model: its networks in evaluation mode, and what its card says; parts that it lacks are None.

    ``parameters`` are the numbers that were chosen for it (:mod:`.parameters`).
    """

    detection_network: object
    name: str
    version: str
    sha256: str
    level_network: object = None
    centroid_network: object = None
    parameters: PipelineParameters = SHIPPED


def models_folder() -> Path:
    """The folder of the shipped models: ``Resources/Models`` of the Slicer module, or the data of the pip package.

    Raises:
        WeightsError: neither exists.
    """
    engine = Path(__file__).resolve().parents[1]
    for folder in (engine.parent / "Resources" / "Models", engine / "models"):
        if folder.is_dir():
            return folder
    raise WeightsError("The folder of the network weights is missing: reinstall VertebraLabeling.")


def default_weights() -> Path:
    """Path of the shipped weights."""
    return models_folder() / DEFAULT_MODEL


def read_card(weights: Path) -> dict:
    """Read and check the card beside a weights file.

    Raises:
        WeightsError: no weights, no card, or another format version.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise WeightsError(
            f"The network weights {weights} are missing: reinstall VertebraLabeling or name another file."
        )
    card = weights.with_suffix(".json")
    try:
        data = json.loads(card.read_text(encoding="utf-8"))
        known = {"format": int, "version": str, "sha256": str, "widths": list}
        if not all(isinstance(data[name], kind) for name, kind in known.items()):
            raise TypeError("a field has the wrong type")
        if len(data["sha256"]) != 64 or not _are_widths(data["widths"]):
            raise ValueError("a field is out of range")
        parameters_in(data)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"The card {card.name} of the network weights is missing or damaged: restore it.") from error
    if data["format"] != FORMAT:
        raise WeightsError(
            f"{weights.name} has format {data['format']}, this version reads format {FORMAT}: "
            "install the VertebraLabeling that it was made with."
        )
    return data


def _are_widths(widths: list) -> bool:
    """Numbers of channels, few and small enough that a damaged card cannot fill the memory."""
    return 0 < len(widths) < 10 and all(type(width) is int and 0 < width <= MAX_WIDTH for width in widths)


def parameters_in(card: dict) -> PipelineParameters:
    """The chosen numbers of a model; the shipped model's where its card has none.

    Raises:
        ValueError: the card is damaged; :func:`read_card` has looked.
    """
    return PipelineParameters.from_json(card.get("parameters", {}))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def load_state(weights: Path) -> dict:
    """The tensors of the detection network alone; see :func:`load_tensors`."""
    return _split(load_tensors(weights))[0]


def load_parts(weights: Path) -> dict[str, dict]:
    """Name -> tensors of each part that the model has; see :func:`load_tensors`."""
    return _split(load_tensors(weights))[1]


def _split(tensors: dict) -> tuple[dict, dict[str, dict]]:
    """The tensors of the detection network, and those of the parts without the part's name."""
    first: dict = {}
    parts: dict[str, dict] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        if part in PARTS:
            parts.setdefault(part, {})[rest] = value
        else:
            first[name] = value
    return first, parts


def load_tensors(weights: Path) -> dict:
    """Load all tensors of a model as fp32, after its SHA-256 was checked against the card.

    Raises:
        WeightsError: missing, damaged, or not the file that its card describes.
    """
    import torch

    card = read_card(weights)
    data = _read(Path(weights))
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise WeightsError(f"{Path(weights).name} is damaged (its SHA-256 differs from its card): reinstall it.")
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    except Exception as error:
        raise WeightsError(f"{Path(weights).name} cannot be read as network weights: reinstall it.") from error


def _read(weights: Path) -> bytes:
    """The whole file at once: what was hashed is what is loaded, whoever replaces the file meanwhile."""
    try:
        return weights.read_bytes()
    except OSError as error:
        raise WeightsError(f"{weights.name} cannot be read ({error.strerror}): check its permissions.") from error


def load_model(weights: Path | None = None) -> Model:
    """Load a model ready for inference: normalizations folded into convolutions, input widened, centers sought near
    the spine.

    Args:
        weights: the ``.pt`` file; the shipped one by default.

    Raises:
        WeightsError: see :func:`load_state`, or tensors that do not fit the network.
    """
    from .centroid_network import CentroidNetwork
    from .detection_network import DetectionNetwork, widen_input
    from .layers import fold_norms
    from .level_network import LevelNetwork

    weights = Path(weights) if weights else default_weights()
    card, tensors = read_card(weights), load_tensors(weights)
    state, parts = _split(tensors)
    try:
        network = DetectionNetwork(tuple(card["widths"]))
        network.load_state_dict(state)
        loaded = {}
        for name, field, kind in zip(PARTS, ("level_network", "centroid_network"), (LevelNetwork, CentroidNetwork)):
            if name in parts:
                loaded[field] = kind()
                loaded[field].load_state_dict(parts[name])
                fold_norms(loaded[field].eval())
    except (RuntimeError, ValueError) as error:  # other tensors, another number of widths
        raise WeightsError(f"{weights.name} does not fit this version's network: update VertebraLabeling.") from error
    network = widen_input(fold_norms(network.eval()))
    network.near_spine = True
    parameters = parameters_in(card)
    return Model(network, weights.stem, card["version"], card["sha256"], **loaded, parameters=parameters)


def write_model(
    weights: Path,
    state: dict,
    widths: tuple[int, ...],
    version: str,
    training: dict,
    parts: Mapping[str, dict] | None = None,
    parameters: PipelineParameters = SHIPPED,
) -> None:
    """Write a model and its card; each file appears whole or not at all.

    Args:
        weights: the ``.pt`` file to write.
        state: tensors of a :class:`detection_network.DetectionNetwork`; stored as fp16.
        widths: channel widths of the network.
        version: model version shown to users.
        training: summary kept on the card (cases, steps, configuration).
        parts: name -> tensors of the further networks.
        parameters: the numbers that were chosen for it.
    """
    import torch

    weights = Path(weights)
    weights.parent.mkdir(parents=True, exist_ok=True)
    named = {f"{part}.{name}": value for part, its in (parts or {}).items() for name, value in its.items()}
    tensors = {**state, **named}
    half = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    with tempfile.TemporaryDirectory(dir=weights.parent) as folder:
        temporary = Path(folder) / weights.name
        torch.save(half, temporary)
        card = {"format": FORMAT, "version": version, "sha256": sha256_of(temporary), "widths": list(widths)}
        card["parameters"] = parameters.to_json()
        card_file = temporary.with_suffix(".json")
        card_file.write_text(json.dumps({**card, "training": training}, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, weights)
        os.replace(card_file, weights.with_suffix(".json"))
