"""What a checkpoint file holds, told before and after open_clip reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch

_POSITIONS = "positional_embedding"


def saved_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """Reads the names and shapes of the weights in a file, not the weights.

    Args:
        path: a file of ``torch.save`` or safetensors; one of NumPy, as of
            big_vision, has names of its own and is not looked into

    Returns:
        shapes by name, without the prefix that DistributedDataParallel adds

    Raises:
        ValueError: if the file holds something else, saying what
    """
    suffix = Path(path).suffix
    if suffix in (".npz", ".npy"):
        return {}
    try:
        shapes = _of_safetensors(path) if suffix == ".safetensors" else _of_torch(path)
    except Exception as error:  # unpickling raises errors of any kind
        raise ValueError(_why_unreadable(path, error)) from error
    if not shapes:
        raise ValueError("it holds no weights by name (a state dict)")
    if next(iter(shapes)).startswith("module"):  # as open_clip does
        shapes = {name[7:]: shape for name, shape in shapes.items()}
    return shapes


def check_positions(
    shapes: Mapping[str, tuple[int, ...]], model: torch.nn.Module
) -> None:
    """Checks that open_clip did not stretch position embeddings to make them fit.

    It does so where the weights are those of a model that sees images of
    another size or reads texts of another length. All other tensors it compares.

    Raises:
        ValueError: naming the tensors and both shapes
    """
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    wrong = []
    for name, shape in shapes.items():
        if name.endswith(_POSITIONS):
            there = wanted.get(name, wanted.get(f"text.{name}", shape))
            if there != shape:
                wrong.append(f"{name} is {shape} in the file and {there} in the model")
    if wrong:
        raise ValueError(
            f"it was made for another image size or text length: {'; '.join(wrong)}"
        )


def check_finite(model: torch.nn.Module) -> None:
    """Checks that no weight is NaN or infinite.

    Raises:
        ValueError: naming one of the tensors and how many they are
    """
    bad = [
        name
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point()
        and not name.endswith("mask")
        and not tensor.isfinite().all()
    ]
    if bad:
        raise ValueError(
            f"its weights are NaN or infinite in {len(bad)} tensors, such as {bad[0]}"
        )


def _of_safetensors(path: str) -> dict[str, tuple[int, ...]]:
    with safetensors.safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}


def _of_torch(path: str) -> dict[str, tuple[int, ...]]:
    saved = torch.load(path, map_location="meta", weights_only=True)
    if isinstance(saved, Mapping) and "state_dict" in saved:
        saved = saved["state_dict"]
    if not isinstance(saved, Mapping):
        return {}
    return {
        name: tuple(value.shape)
        for name, value in saved.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }


def _why_unreadable(path: str, error: Exception) -> str:
    with open(path, "rb") as file:
        head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "the file is empty"
    if head.startswith(b"<"):
        return "it is HTML or XML, such as a web page saved in place of the file"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: download the file it stands for"
    if "TorchScript" in str(error):
        return "it is a TorchScript archive: save the state dict of its model"
    if "Unsupported" in str(error) and "GLOBAL" in str(error):
        return (
            "it holds Python objects, which are not read because they can run code: "
            "save the state dict alone"
        )
    return "it is no file of torch.save or safetensors, or it is damaged"
