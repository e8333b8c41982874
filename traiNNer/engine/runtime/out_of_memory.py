"""How an error says that memory has run out."""

import torch


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that the device, or the host, has no memory left."""
    signs = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs))


def may_be_out_of_memory(error: BaseException | None) -> bool:
    """Whether doing it again in smaller parts may help: also what cuDNN says when its workspace finds no room."""
    return is_out_of_memory(error) or (isinstance(error, RuntimeError) and "CUDNN_STATUS_NOT_SUPPORTED" in str(error))
