"""A training on disk: the best fuser, and all that is needed to go on after a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from detail_embed import fusers
from detail_embed.fusers.base import Fuser
from detail_embed.storage.whole_files import whole_folder, write_whole

_STATE = "state.json"
_BEST = "best"


class Checkpoint:
    """A folder that a training writes to after every epoch.

    The best fuser is a saved fuser of its own (:meth:`best`); the last state is one
    safetensors file, named by ``state.json``, which is replaced in one step: a run
    that is killed goes on after its last whole epoch.

    Args:
        directory: created where missing
        identity: JSON values that say which training it is

    Raises:
        ValueError: if the folder holds another training
    """

    def __init__(self, directory: str | Path, identity: dict[str, Any]):
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._identity = identity
        held = self._read()
        if held is not None and held["identity"] != identity:
            changed = [k for k in identity if held["identity"].get(k) != identity[k]]
            raise ValueError(
                f"{directory} holds another training that was cut short (differs in "
                f"{', '.join(changed)}): train anew (overwrite=True), or give another "
                "name or folder"
            )

    @staticmethod
    def best(directory: str | Path) -> Fuser:
        """Loads the best fuser of a training, whether it has ended or not.

        Raises:
            FileNotFoundError: if there is none yet
        """
        return fusers.load(Path(directory) / _BEST)

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """The last state: JSON values and tensors; None at the start."""
        held = self._read()
        if held is None:
            return None
        try:
            return held["values"], load_file(self._directory / held["tensors"])
        except (OSError, SafetensorError) as error:
            raise _damaged(self._directory, error) from error

    def save(
        self, epoch: int, values: dict[str, Any], tensors: dict[str, Tensor]
    ) -> None:
        """Writes the state after an epoch, and drops the one before."""
        name = f"epoch-{epoch}.safetensors"
        save_file(tensors, self._directory / name)
        held = {"identity": self._identity, "values": values, "tensors": name}
        write_whole(self._directory / _STATE, json.dumps(held, indent=1) + "\n")
        for old in self._directory.glob("epoch-*.safetensors"):
            if old.name != name:
                old.unlink()

    def save_best(self, fuser: Fuser) -> None:
        """Keeps a fuser as the best one."""
        with whole_folder(self._directory / _BEST, replace=True) as partial:
            fuser.save(partial)

    def _read(self) -> dict[str, Any] | None:
        path = self._directory / _STATE
        try:
            return json.loads(path.read_text("utf-8")) if path.is_file() else None
        except ValueError as error:
            raise _damaged(self._directory, error) from error


def _damaged(directory: Path, error: Exception) -> ValueError:
    return ValueError(
        f"the checkpoint in {directory} is damaged ({error}): train anew "
        "(overwrite=True), or delete the folder"
    )


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors."""
    return {
        f"optimizer.{index}.{key}": value.detach().cpu().contiguous()
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Gives an optimizer the state that :func:`pack_optimizer` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def part(
    tensors: dict[str, Tensor], prefix: str, device: torch.device
) -> dict[str, Tensor]:
    """The tensors under a prefix, by the rest of their names."""
    start = f"{prefix}."
    return {
        name[len(start) :]: tensor.to(device)
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
