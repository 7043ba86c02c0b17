"""A short run of the fuzzer on every parser, in a process with bounds; and that the fuzzer finds what is planted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import FOUND, fault_of
from .targets import TARGETS

RUNS = 400
NAMES = list(TARGETS)

PLANTED = """
import sys
from pathlib import Path
from tests.fuzz import __main__ as fuzzer
from tests.fuzz.targets import Target

def crash(data):
    if len(data) > 3000:
        raise KeyError("a way nobody thought of")

def hang(data):
    while len(data) > 3000:
        pass

def swell(data):
    return len(data) > 3000 and bytearray(fuzzer.MEMORY_BYTES_MAX)

fuzzer.INPUT_SECONDS_MAX = 0.2
fuzzer.bound_process()
run = {"crash": crash, "hang": hang, "swell": swell, "sound": len}[sys.argv[1]]
target = Target(lambda: [b"abc" * 20], run, (ValueError,))
sys.exit(0 if fuzzer.fuzz("planted", target, 1, 500, 60, Path(sys.argv[2])) else 1)
"""


@pytest.mark.parametrize("names", [NAMES[start::2] for start in range(2)], ids=["odd", "even"])
def test_no_input_surprises_a_parser(names: list[str], tmp_path: Path) -> None:
    """Some hundred inputs of a fixed seed for each; more by ``make fuzz``."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *names, "--runs", str(RUNS), "--seed", "1", "--found", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == names


@pytest.mark.parametrize("kept", sorted(FOUND.glob("*-*")), ids=lambda kept: kept.name)
def test_what_was_found_once_stays_mended(kept: Path) -> None:
    """Inputs that failed before."""
    assert fault_of(TARGETS[kept.name.rpartition("-")[0]], kept.read_bytes()) == ""


@pytest.mark.parametrize(
    ("defect", "said"), [("crash", "KeyError"), ("hang", "TooSlow"), ("swell", "MemoryError"), ("sound", "500 inputs")]
)
def test_the_fuzzer_finds_what_is_planted(defect: str, said: str, tmp_path: Path) -> None:
    """The control: an exception, a loop without an end and too much memory behind a length are each found and kept."""
    done = subprocess.run(
        [sys.executable, "-c", PLANTED, defect, str(tmp_path / "found")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=300,
    )  # fmt: skip
    assert done.returncode == (0 if defect == "sound" else 1), done.stdout + done.stderr
    assert said in done.stdout
    assert (tmp_path / "found").exists() == (defect != "sound")
