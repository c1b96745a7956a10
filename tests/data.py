"""Where the recorded conversations and exchanges lie; they are read in place and never copied here."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("SEGUE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded data are not at {DATA}; set SEGUE_DATA")
