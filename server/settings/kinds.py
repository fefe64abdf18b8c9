"""Kinds of values that settings take."""

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
ListenAddress = Annotated[str, Field(pattern=r"^(unix:.+|(\[[0-9a-fA-F:]+\]|[^\[\]:\s]+):\d{1,5})$")]
Address = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^\[\]:\s]+):\d{1,5}$")]
Target = Annotated[str, Field(pattern=r"^(unix:/.+|(\[[0-9a-fA-F:]+\]|[^\[\]:\s]+):\d{1,5})$")]
