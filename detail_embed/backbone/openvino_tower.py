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
_MOST_STREAMS = 8  # as there are workers of the engine


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

    They are divided into streams, of one thread each where there are few: those of one
    stream wait for each other after every operation, and where something else has one's
    core, all do. A caller takes as many streams as torch gives it threads: one of the
    engine's workers one stream, a caller that is alone all of them, a part of its
    patches each.

    Args:
        model: the graph of a tower, see :func:`convert`
        precision: ``"fp32"``, or ``"bf16"`` where the CPU has it
    """

    def __init__(self, model: openvino.Model, precision: str):
        import openvino

        threads = within_quota(torch.get_num_threads())
        self._streams = _streams(threads)
        self._per_stream = threads // self._streams
        self._compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": self._streams,
                "ENABLE_CPU_PINNING": False,  # or all processes share the first cores
            },
        )
        self._own = threading.local()

    def __call__(self, patches: Tensor) -> Tensor:
        """Encodes ``(n, 3, size, size)`` uint8; returns ``(n, d)`` float32, unit."""
        mine = min(torch.get_num_threads() // self._per_stream, self._streams)
        parts = patches.contiguous().tensor_split(max(1, min(mine, len(patches))))
        requests = self._requests(len(parts))
        try:
            for request, part in zip(requests, parts):
                request.start_async([part.numpy()])
            for request in requests:
                request.wait()
        except BaseException:
            self._own.requests.clear()  # some may be at work
            raise
        outputs = [request.get_output_tensor(0).data for request in requests]
        return torch.cat([torch.from_numpy(output) for output in outputs])

    def _requests(self, count: int) -> list[openvino.InferRequest]:
        """Some that belong to this thread."""
        own = self._own.__dict__.setdefault("requests", [])
        while len(own) < count:
            own.append(self._compiled.create_infer_request())
        return own[:count]


def _streams(threads: int) -> int:
    """How many streams divide the threads: as many as leave none of them over."""
    return max(n for n in range(1, _MOST_STREAMS + 1) if threads % n == 0)


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
