"""The reference numbers, produced by running the published code (see data/README.md)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def reference_json() -> Callable[[str], Any]:
    return lambda name: json.loads((DATA / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def reference_npz() -> Callable[[str], dict[str, np.ndarray]]:
    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(DATA / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load
