"""Choice of the device (CPU or GPU) that a network computes on."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping

from clipquarry.errors import MachineError, UserError

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,2})?")
VARIABLE = "CLIPQUARRY_DEVICE"


def choose_device(asked: str = "auto", environ: Mapping[str, str] = os.environ) -> str:
    """``cpu`` or ``cuda:N`` for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    ``auto`` is what the worker's ``CLIPQUARRY_DEVICE`` says; without it any of the visible GPUs, so that several shards at once
    spread over them, and the CPU where there is none. Raises UserError for another word, MachineError for a GPU that is not there.
    """
    device, named = asked, "the device"
    if asked == "auto" and environ.get(VARIABLE):
        device, named = environ[VARIABLE], VARIABLE
    if not _DEVICE.fullmatch(device):
        raise UserError(f"{named} is '{device}'; write auto, cpu, cuda or cuda:0.")
    if device == "cpu":
        return device
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto" and count == 0:
        return "cpu"
    if count == 0:
        raise MachineError(f"{named} is '{device}', but this machine shows PyTorch no GPU.")
    number = int(device[5:]) if ":" in device else random.randrange(count)  # noqa: S311  any will do
    if number >= count:
        raise MachineError(f"{named} is '{device}', but PyTorch sees {count} GPUs (they count from 0).")
    return f"cuda:{number}"
