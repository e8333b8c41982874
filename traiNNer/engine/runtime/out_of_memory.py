"""How an error says that memory has run out."""

import torch

CLEAR = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
UNCLEAR = ("CUDNN_STATUS_NOT_SUPPORTED", "INTERNAL_ERROR", "unable to find an engine")
"""What cuDNN and cuBLAS say when their workspace finds no room, and also of what they cannot compute at all."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that the device, or the host, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _says(error, CLEAR)


def may_be_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error may come of a lack of memory, if memory is short."""
    return _says(error, UNCLEAR)


def _says(error: BaseException | None, signs: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
