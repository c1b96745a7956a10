"""Measure Segue side by side with the hand-written floors and, where they are installed, its peers.

    python3 dev.py bench                                   # W1 to W6, 5 rounds, against the floors
    python3 dev.py bench -w w1 -w w2-50 --rounds 9
    python3 dev.py bench -c segue -c swarm -w w1           # peers: make their environments with the harness first
    python3 dev.py bench -w w7 -c segue -c segue/memory -c segue/postgres     # the last one at BENCH_POSTGRES=postgresql://...

The harness (mock model server, workloads, floors, peers) is a folder of its own: BENCH_HARNESS names it, or it lies at
../shared/bench. Arguments not known here are the harness's own."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HARNESS = Path(os.environ.get("BENCH_HARNESS") or ROOT.parent / "shared" / "bench")
WORKLOADS = ["w1", "w2-10", "w2-50", "w3-1000", "w4-ttft", "w4-burst", "w5", "w6-async", "w6-sync"]
FLOORS = ["floor-aiohttp", "floor-thread", "segue", "segue/stream", "pydantic"]
VARIANTS = {"segue": "", "segue/stream": "stream", "segue/generated": "generated", "segue/memory": "memory", "segue/postgres": "postgres"}
INSTALLED = {"mock": ["uvloop", "httptools", "orjson"], "floor": ["aiohttp", "orjson"], "pydantic": ["pydantic"], "segue": [str(ROOT)]}
"""Environments of the benchmark's own, and what is installed there; Segue with its extra has one when it is asked for."""


def contenders(folder: Path) -> Path:
    """Write the table that tells the harness about Segue."""
    rows = []
    database = os.environ.get("BENCH_POSTGRES", "")
    for name, variant in VARIANTS.items():
        venv = "segue-postgres" if variant == "postgres" else "segue"
        rows += [f'["{name}"]', f'venv = "{venv}"', f'adapter = "{HERE / "segue_adapter.py"}"', 'import = "import segue"', "w7 = true"]
        rows += [f'env = {{ BENCH_HARNESS = "{HARNESS}", BENCH_VARIANT = "{variant}", BENCH_POSTGRES = "{database}" }}', ""]
    rows += ['["pydantic"]', 'venv = "pydantic"', 'adapter = "none"', 'import = "import pydantic; pydantic.BaseModel"', 'only = ["w5"]', ""]
    path = folder / "segue.toml"
    path.write_text("\n".join(rows))
    return path


def make(venvs: Path, python: str, *, postgres: bool) -> None:
    """Make the environments that are missing; Segue's are always brought up to date."""
    uv = [sys.executable, "-m", "uv"]
    for name, packages in (INSTALLED | ({"segue-postgres": [f"{ROOT}[postgres]"]} if postgres else {})).items():
        home = venvs / name
        if not (home / "bin" / "python").exists():
            subprocess.run([*uv, "venv", "-q", "--python", python, str(home)], check=True)
        elif not name.startswith("segue"):
            continue
        install = ["pip", "install", "-q", "--python", str(home / "bin" / "python")]
        subprocess.run([*uv, *install, *(["--reinstall-package", "segue"] if name.startswith("segue") else []), *packages], check=True)


def main() -> int:
    """Run the harness with Segue among the contenders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workload", action="append", help=f"one of the harness's; default: {' '.join(WORKLOADS)}")
    parser.add_argument("-c", "--contender", action="append", help=f"default: {' '.join(FLOORS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    parser.add_argument("--venvs", type=Path, help="where the contenders' environments are; default: .dev/bench/<version>")
    given, rest = parser.parse_known_args()
    if not (HARNESS / "run.py").exists():
        print(f"The benchmark's harness is not at {HARNESS}: name its folder in BENCH_HARNESS.", file=sys.stderr)
        return 2
    version = subprocess.run(
        [given.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    venvs = given.venvs or ROOT / ".dev" / "bench" / version.stdout.strip()
    make(venvs, given.python, postgres="segue/postgres" in (given.contender or ()))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HARNESS / "run.py"), "--venvs", str(venvs), "--rounds", str(given.rounds)]
        command += ["--contenders-file", str(HARNESS / "contenders.toml"), "--contenders-file", str(contenders(Path(folder)))]
        for workload in given.workload or WORKLOADS:
            command += ["-w", workload]
        for contender in given.contender or FLOORS:
            command += ["-c", contender]
        if not any(argument.startswith("--out") for argument in rest):
            command += ["--out", str(ROOT / ".dev" / "bench" / "results")]
        return subprocess.run([*command, "--floor", "floor-thread", *rest], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
