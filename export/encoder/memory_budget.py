"""Memory budget of the parity gate: how many rows of a length may be computed at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.encoder.modules import CONFIG_FILE, read_json
from export.encoder.source import EncoderSource

_MOST_BYTES = 3 << 30
_SHARE_OF_FREE = 0.5
_FLOAT_BYTES = 4
# Copies that are alive at once: of the attention scores of a layer, and of the states of a layer and its inner one.
_SCORE_COPIES = 3
_STATE_COPIES = 16
_HEAD_KEYS = ("num_attention_heads", "n_head", "n_heads", "num_heads")


@dataclass(frozen=True)
class MemoryBudget:
    """Budget, and what a row takes of it.

    Attributes:
        byte_count: the budget.
        head_count: attention heads of a layer.
        width: of the states.
    """

    byte_count: int
    head_count: int
    width: int

    @classmethod
    def of(cls, source: EncoderSource) -> "MemoryBudget":
        """Returns the budget for an encoder: 3 GiB, or half of the free memory where that is less."""
        config: dict[str, Any] = read_json(source.folder / CONFIG_FILE, dict)
        heads = next((config[key] for key in _HEAD_KEYS if isinstance(config.get(key), int)), 1)
        width = max(source.dimension, *(config.get(key, 0) or 0 for key in ("hidden_size", "d_model", "n_embd")))
        return cls(min(_MOST_BYTES, int(_SHARE_OF_FREE * _free_bytes())), heads, width)

    @property
    def words(self) -> str:
        """The budget for people."""
        return f"{self.byte_count / (1 << 30):.1f} GiB"

    def rows(self, length: int) -> int:
        """Returns how many rows of so many tokens fit; 0 where not even one does."""
        scores = _SCORE_COPIES * self.head_count * length * length
        states = _STATE_COPIES * self.width * length
        return self.byte_count // ((scores + states) * _FLOAT_BYTES)

    def limits(self, buckets: Sequence[int], max_batch_size: int) -> str:
        """Returns in words what is not checked within the budget; empty where everything is."""
        whole = [width for width in buckets if self.rows(width) >= max_batch_size]
        if len(whole) == len(buckets):
            return ""
        smaller = [width for width in buckets if width not in whole and self.rows(width)]
        parts = [f"batches of {max_batch_size} up to {whole[-1]:,} tokens"] if whole else []
        if smaller:
            parts.append(f"batches of {min(self.rows(smaller[-1]), max_batch_size)} up to {smaller[-1]:,} tokens")
        if not self.rows(buckets[-1]):
            parts.append(f"nothing above {(smaller or whole or [0])[-1]:,} tokens")
        return f"checked within {self.words}: {', '.join(parts)}"


def _free_bytes() -> int:
    """Returns the memory that can be had: what the system has free, or a control group's limit leaves."""
    free = _MOST_BYTES * 4
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
        return min(free, int(most) - used) if most != "max" else free
    except (OSError, ValueError):
        return free
