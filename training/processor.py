"""What this machine's processor can do."""

import torch


def native_bfloat16() -> bool:
    """Says whether it multiplies bfloat16 itself; elsewhere that would be slower than float32."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
