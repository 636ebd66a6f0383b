"""Reader of untrusted checkpoint files: weights are read as data, and no code in the file is run.

A PyTorch checkpoint is a pickle, and a pickle is a program. Only tensors, plain values and the few harmless types of
OpenMMLab's training loop (numpy numbers, the history of the loss) are accepted; anything else is refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_TENSORS = ("state_dict", "model")
"""Keys of the weights: mmengine and most others, Detectron."""


def load_weights(path: Path) -> dict[str, Any]:
    """The weights of a checkpoint by name: tensors on the CPU.

    Raises UserError for a file that is not there, is no checkpoint, or holds more than data.
    """
    import torch

    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: fetch it, or name another.")
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  the file is hostile or torn: whatever breaks the reader says so
        if found := _GLOBAL.search(str(error)):
            raise UserError(
                f"The checkpoint {path} is refused: it holds '{found[1]}', which is no weights and could run code. "
                "Use a checkpoint of weights only."
            ) from None
        first = (str(error).splitlines() or [""])[0][:200]
        raise UserError(f"{path} is not a readable checkpoint ({type(error).__name__}: {first}).") from None
    return _weights(loaded, path)


def _weights(loaded: Any, path: Path) -> dict[str, Any]:
    import torch

    for name in _TENSORS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
            break
    if (
        not isinstance(loaded, dict)
        or not loaded
        or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in loaded.items())
    ):
        raise UserError(f"{path} is a PyTorch file, but holds no weights by name.")
    if all(name.startswith("module.") for name in loaded):  # saved from a model on several GPUs
        bare = type(loaded)((name.removeprefix("module."), value) for name, value in loaded.items())
        if hasattr(loaded, "_metadata"):
            bare._metadata = loaded._metadata  # type: ignore[attr-defined]
        return bare
    return loaded


def fit_weights(model: Any, weights: dict[str, Any], path: Path) -> None:
    """Load the weights into a model. Raises UserError unless each name of one is in the other, with the same shape."""
    try:
        result = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        wrong = str(error).count("size mismatch for")
        raise UserError(
            f"The checkpoint {path} is of another model: {wrong} weights have another shape than the config's."
        ) from None
    missing = [name for name in result.missing_keys if not name.endswith("num_batches_tracked")]  # a counter
    if missing or result.unexpected_keys:
        examples = ", ".join([*missing[:1], *result.unexpected_keys[:1]])
        raise UserError(
            f"The checkpoint {path} is of another model: {len(missing)} weights of the config's model are missing, "
            f"{len(result.unexpected_keys)} are unexpected (such as {examples})."
        )


class _Curve:
    """Placeholder for mmengine's ``HistoryBuffer``, the history of a loss; it is discarded."""


def _nothing(*_: Any) -> None:
    """Placeholder for ``getattr``, by which a ``HistoryBuffer`` names its methods; it looks nothing up."""


def _harmless() -> list[Any]:
    """Types that a checkpoint may contain besides tensors: numpy's numbers and arrays of them, and mmengine's loss
    history.
    """
    import numpy as np

    makers = {"_reconstruct": np.zeros(1).__reduce__()[0], "scalar": np.float64(1).__reduce__()[0]}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")  # numpy 1 and 2
    kinds = [getattr(np.dtypes, name) for name in np.dtypes.__all__ if "Object" not in name]
    renamed = [(maker, f"{module}.{name}") for module in modules for name, maker in makers.items()]
    renamed += [(_nothing, "getattr"), (_nothing, "builtins.getattr"), (_nothing, "__builtin__.getattr")]
    renamed += [(_Curve, "mmengine.logging.history_buffer.HistoryBuffer")]
    return [np.ndarray, np.dtype, *kinds, *renamed]
