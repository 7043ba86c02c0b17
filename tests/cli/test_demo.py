"""``piaoma demo --channel``: the same walk with channels outside, from a scanned code to verified files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("channel", ["leqi", "nuonuo"])  # one that numbers beforehand, one that is called
def test_the_demo_passes_with_a_channel_outside(channel: str, tmp_path: Path) -> None:
    """Its own simulator, real HTTP on both sides; files verify, the store is sound, and the channel has the invoice."""
    command = [sys.executable, "-m", "piaoma.cli", "demo", "--no-keep", "--channel", channel, "--out", "out"]
    environment = {**os.environ, "PIAOMA_DATA": str(tmp_path / "data"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{channel} has it" in done.stdout and "store audited" in done.stdout
    assert len(list((tmp_path / "out").iterdir())) == 5
