"""What a test needs besides Python; with CI set, a missing part is a failure, not a skip."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

IN_CI = os.environ.get("CI") == "true"
DATA = Path(os.environ.get("ONETEAM_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))

needs_spark = pytest.mark.skipif(
    not IN_CI and (shutil.which("java") is None or importlib.util.find_spec("pyspark") is None),
    reason="needs Java 17 and pip install 'oneteam[spark]'",
)

needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"real data not found: set ONETEAM_DATA (looked in {DATA.name})")
