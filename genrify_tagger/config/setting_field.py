"""The declaration of a setting as a field of a dataclass."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from typing import Any


def setting_field(doc: str, default: Any = dataclasses.MISSING, **more: Any) -> Any:
    """Declare a setting; `more` holds further fields of `Setting`."""
    factory = more.pop("factory", None)
    metadata = {"doc": doc, **more}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)
