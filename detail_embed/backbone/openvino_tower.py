"""The image tower on the CPU by OpenVINO, an optional package.

Of the same weights it makes the same features, to about 1e-6 in fp32, in less time than
torch, see ``docs/performance.md``. Made where it is the fastest way of the CPU, or
where a backbone is loaded with ``device="openvino"``.
"""

from __future__ import annotations

import threading
import warnings
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from detail_embed.images.cpus import within_quota

if TYPE_CHECKING:
    import openvino

NAME = "openvino"
_HINTS = {"fp32": "f32", "bf16": "bf16"}


def is_installed() -> bool:
    """Whether the package is there."""
    return find_spec("openvino") is not None


def check_installed() -> None:
    """Checks that the package is there.

    Raises:
        ValueError: if it is not
    """
    if not is_installed():
        raise ValueError(
            "device='openvino': the package is not installed; pip install openvino, or "
            "choose cpu or auto"
        )


def check_precision(precision: str) -> None:
    """Checks that the package has a precision.

    Raises:
        ValueError: if it has not
    """
    if precision not in (*_HINTS, "auto"):
        raise ValueError(
            f"precision={precision!r}: OpenVINO has {', '.join(_HINTS)}; give one of "
            "them or auto"
        )


def version() -> str:
    """Of the package; empty where it is not there."""
    return metadata.version(NAME) if is_installed() else ""


class Compiled:
    """Patches to features, compiled for all threads that torch has.

    Threads share one: each asks with a request of its own, and they take turns.

    Args:
        model: the graph of a tower, see :func:`convert`
        precision: ``"fp32"``, or ``"bf16"`` where the CPU has it
    """

    def __init__(self, model: openvino.Model, precision: str):
        import openvino

        self._compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "INFERENCE_NUM_THREADS": within_quota(torch.get_num_threads()),
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,  # or all processes share the first cores
            },
        )
        self._own = threading.local()

    def __call__(self, patches: Tensor) -> Tensor:
        """Encodes ``(n, 3, size, size)`` uint8; returns ``(n, d)`` float32, unit."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        outputs = self._own.request.infer([patches.contiguous().numpy()])
        return torch.from_numpy(outputs[0])


def convert(model: nn.Module, size: int, mean: Tensor, std: Tensor) -> openvino.Model:
    """The image tower as OpenVINO's graph.

    By the frontend for torch itself: ``openvino.convert_model`` makes the same graph of
    it, but takes a second more and reports to the makers of OpenVINO that it was used.

    Args:
        model: an open_clip model on the CPU, in fp32
        size: side of the patches in pixels
        mean: ``(1, 3, 1, 1)`` of the pixels from 0 to 1
        std: likewise
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated
        tower = _Tower(model, mean, std).eval()
        traced = torch.jit.trace(tower, example, check_trace=False)
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # to be held until all is converted
    graph = frontend.convert(frontend.load(decoder))
    graph.reshape([-1, 3, size, size])
    return graph


class _Tower(nn.Module):
    def __init__(self, model: nn.Module, mean: Tensor, std: Tensor):
        super().__init__()
        self.model, self.mean, self.std = model, mean, std

    def forward(self, patches: Tensor) -> Tensor:
        images = (patches.float() / 255 - self.mean) / self.std
        return F.normalize(self.model.encode_image(images).float(), dim=-1)
