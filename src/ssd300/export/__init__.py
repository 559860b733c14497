"""Exported model files, and INT8; each is verified against the original before it is moved into place."""

import sys
from typing import TYPE_CHECKING

from ssd300 import CallablePackage

if TYPE_CHECKING:
    from ssd300.export.write import export

__all__ = ["export"]
_HOMES = {"export": "write"}

sys.modules[__name__].__class__ = CallablePackage
