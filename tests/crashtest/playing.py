"""Crash tests as processes of their own: a process that forks others must have no threads, and a test has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCENARIOS = Path(__file__).parent / "scenarios"
ROOT = Path(__file__).parents[2]
PATIENCE = 900
"""Seconds after which a crash test is taken to hang."""


def crashtest(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run a crash test to its end."""
    argv = [sys.executable, "-m", "segue", "crashtest", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False)


def reported(*words: str, target: str = "tests.crashtest.team:desk", cwd: Path = ROOT) -> dict[str, Any]:
    """Run a crash test, and give its report."""
    done = crashtest(target, *words, "--json", cwd=cwd)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if report["wrong"] else 0), done.stderr
    return report


def scenario(name: str) -> list[str]:
    """The words that name one of these tests' scenarios."""
    return ["--scenario", str(SCENARIOS / f"{name}.toml")]


def faults(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that a report finds wrong."""
    return [fault | {"points": result["points"]} for result in report["results"] for fault in result["faults"]]
