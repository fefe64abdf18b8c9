"""What this machine's processor can do, and what makes it quicker at learning."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


def native_bfloat16() -> bool:
    """Says whether it multiplies bfloat16 itself; elsewhere that would be slower than float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


@contextmanager
def attention_for_learning() -> Iterator[None]:
    """Attention by plain matrix products on a processor, where the fused kernel's gradient is the slower by far."""
    if torch.cuda.is_available():
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def attention_for_reading() -> Iterator[None]:
    """Within the other, where no gradient is asked for: whichever kernel is the quickest.

    Not in bfloat16: a map that whitens makes its rounding large. Films' held items had .3131 so, and .3263 in float32.
    """
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield


def without_dropout(model: torch.nn.Module) -> None:
    """Turns every dropout of a model off, in place; its configuration stays as it is."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout_prob"):  # of attention that hands it on as a number
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
