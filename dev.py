"""Set up a private environment in .dev/ and run one of the project's commands in it: `python3 dev.py VERB ...`.

It needs Python and nothing else: packages come from the pinned files in requirements/, with their hashes required, by uv
where there is one and by pip where there is not. It never downloads a Python, and it decides nothing about the project.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this is the line that tells people so)
    sys.exit(f"dev.py needs Python 3.11 or newer, and this is {sys.version.split()[0]}. Run it with a newer one: python3.12 dev.py ...")

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".dev"
ENVIRONMENT = HOME / f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
STAMP = "segue-stamp"
RUN_PINS = ROOT / "requirements" / "run.txt"
DEV_PINS = ROOT / "requirements" / "dev.txt"
LOCK_COMMAND = "python3 dev.py lock"
PAGES = ("README.md", "AGENTS.md", "CHANGELOG.md", "docs", "src/segue/examples")
COVERING = [f"tests/{name}" for name in ("core", "wire", "laws", "models", "hostile", "replays")]
MOST_DISTRIBUTIONS = 24
MOST_MEGABYTES = 35
VENV_BRINGS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")


class SetupFailed(Exception):
    """The environment could not be made; the words say what to do about it."""


# --- running things


def say(text: str) -> None:
    """Tell the user something, beside the output of the command they asked for."""
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def program(name: str, environment: Path = ENVIRONMENT) -> str:
    """Give the path of a program inside an environment."""
    return str(environment / ("Scripts" if os.name == "nt" else "bin") / name)


def surroundings() -> dict[str, str]:
    """Give the variables that every command runs under: the private environment first, nobody else's packages in it."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH"):  # another program's packages must not be found before the pinned ones
        env.pop(name, None)
    env["PATH"] = os.pathsep.join([str(Path(program("python")).parent), env.get("PATH", os.defpath)])
    env["VIRTUAL_ENV"] = str(ENVIRONMENT)
    env.setdefault("UV_SYSTEM_CERTS", "true")  # pip trusts the machine's certificates; without this, uv trusts only its own
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return env


def call(*argv: str, quiet: bool = False) -> int:
    """Run a command to its end and give its exit code; with `quiet`, it reads nothing, and is heard only if it fails."""
    stdin, output = (subprocess.DEVNULL, subprocess.PIPE) if quiet else (None, None)
    process = subprocess.Popen(argv, cwd=ROOT, env=surroundings(), stdin=stdin, stdout=output, stderr=subprocess.STDOUT if quiet else None)
    while True:
        try:
            heard, _ = process.communicate()
            break
        except KeyboardInterrupt:  # the command had it as well, and decides what it means
            continue
    if quiet and process.returncode:
        sys.stderr.buffer.write(heard)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def become(*argv: str) -> int:
    """Turn into a command, so that it has the terminal, the signals and the exit code to itself."""
    if os.name != "nt":
        sys.stdout.flush()
        os.chdir(ROOT)
        os.execve(argv[0], argv, surroundings())
    return call(*argv)


def in_turn(*commands: tuple[str, ...]) -> int:
    """Run all the commands, also after one has failed, and give the first exit code that is not 0."""
    return next((code for code in [call(*command) for command in commands] if code), 0)


# --- the environment


def fingerprint() -> str:
    """Say what the environment must hold: it is made anew when this changes, and only then."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = [sys.version, sys.base_prefix, str(ROOT), json.dumps([project["project"], project["build-system"]], sort_keys=True)]
    return hashlib.sha256("\0".join([*parts, DEV_PINS.read_text("utf-8")]).encode()).hexdigest()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one process at a time make the environment."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as file:
        if importlib.util.find_spec("fcntl"):
            import fcntl  # not on Windows

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_environment() -> None:
    """Make the private environment, unless the one that is there is right."""
    stamp, wanted = ENVIRONMENT / STAMP, fingerprint()
    with only_one():
        if stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return
        say(f"setting up {ENVIRONMENT.relative_to(ROOT)} from {DEV_PINS.relative_to(ROOT)} (once) ...")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        installer = install(ENVIRONMENT, DEV_PINS)
        add_project(installer, "--editable", str(ROOT))
        stamp.write_text(wanted, "utf-8")


def install(environment: Path, pins: Path) -> tuple[str, ...]:
    """Make an environment with the packages of a pinned file, and give the command that installs more into it."""
    uv = shutil.which("uv")
    if uv:
        made = call(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment), quiet=True)
        by_uv = (uv, "pip", "install", "--quiet", "--python", program("python", environment))
        if not made and not call(*by_uv, "--require-hashes", "-r", str(pins), quiet=True):
            return by_uv
        say("uv could not do it; trying pip ...")
        shutil.rmtree(environment, ignore_errors=True)
    by_pip = bare_environment(environment)
    if call(*by_pip, "--require-hashes", "-r", str(pins), quiet=True):
        raise SetupFailed(f"the packages in {pins.relative_to(ROOT)} could not be installed; what pip said stands above.")
    return by_pip


def add_project(installer: tuple[str, ...], *what: str) -> None:
    """Install the project itself: its backend is among the pinned packages, so nothing more is fetched."""
    if call(*installer, "--no-deps", "--no-build-isolation", *what, quiet=True):
        raise SetupFailed("the project itself could not be installed; what the installer said stands above.")


def bare_environment(environment: Path) -> tuple[str, ...]:
    """Make an environment by the standard library and give its pip; Debian's Python may lack one half of that or the other."""
    if importlib.util.find_spec("venv") is None:
        raise SetupFailed(f"{sys.executable} has no venv module. {mends()}")
    python = program("python", environment)
    if importlib.util.find_spec("ensurepip"):
        if call(sys.executable, "-m", "venv", "--clear", str(environment), quiet=True) == 0:
            return (python, "-m", "pip", "install", "--quiet")
        say("venv could not do it; trying without ensurepip ...")
    if importlib.util.find_spec("pip") is None:
        raise SetupFailed(f"{sys.executable} has neither ensurepip nor pip, and there is no uv. {mends()}")
    if call(sys.executable, "-m", "venv", "--without-pip", "--clear", str(environment), quiet=True):
        raise SetupFailed(f"{sys.executable} could not make a virtual environment; what it said stands above.")
    return (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")


def mends() -> str:
    """Say what to install where a Python comes in pieces."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"Install one of these, then run the same command again:\n  apt install python{version}-venv   (Debian, Ubuntu)\n"
        "  uv on the PATH                (any system: https://docs.astral.sh/uv)"
    )


# --- the verbs


def demo(args: list[str]) -> int:
    """Run the example shop: a customer goes from triage to refunds, without a key or network."""
    return become(program("python"), "-m", "segue", "demo", *(args or ["acme"]))


def test(args: list[str]) -> int:
    """Run the tests; --slow runs the long sweeps instead; more words go to pytest."""
    marks = ["-m", "slow"] if "--slow" in args else []
    rest = [word for word in args if word != "--slow"]
    # A page of the docs is one program in many blocks, so a file stays in one process. Who names tests wants no processes.
    # Many of them wait for processes and servers, so there are more processes than cores.
    spread = [] if rest else ["-n", "4", "--dist", "loadfile"]
    return become(program("python"), "-m", "pytest", *spread, *marks, *rest)


def laws(args: list[str]) -> int:
    """Check the laws of the core on random journals: --n N --seed S."""
    return become(program("python"), "-m", "tests.laws", *args)


def bench(args: list[str]) -> int:
    """Measure against a local model server; see bench/README.md."""
    return become(program("python"), str(ROOT / "bench" / "run.py"), *args)


def docs(args: list[str]) -> int:
    """Run every block of the pages, and compare their generated parts; --write brings those up to date."""
    generate = (program("python"), str(ROOT / "docs" / "generate.py"))
    if args == ["--write"]:
        return become(*generate, "--write")
    return in_turn(generate, (program("python"), "-m", "pytest", *PAGES, *args))


def fmt(args: list[str]) -> int:
    """Format the code, and mend what ruff can mend."""
    ruff = program("ruff")
    return in_turn((ruff, "check", "--fix-only", "--quiet", *(args or ["."])), (ruff, "format", *(args or ["."])))


def lint(args: list[str]) -> int:
    """Check the code with ruff: its rules, and its format."""
    ruff = program("ruff")
    return in_turn((ruff, "check", *(args or ["."])), (ruff, "format", "--check", *(args or ["."])))


def types(args: list[str]) -> int:
    """Check the types of src/segue with mypy --strict."""
    return become(program("python"), "-m", "mypy", *args)


def layers(args: list[str]) -> int:
    """Check that imports go down only (.importlinter)."""
    return become(program("lint-imports"), *args)


def cover(args: list[str]) -> int:
    """Check that the tests that are about core/ and wire/ reach every branch of theirs; more words go to pytest."""
    python = program("python")
    if code := call(python, "-m", "coverage", "run", "-m", "pytest", "-q", *(args or COVERING)):
        return code
    return become(python, "-m", "coverage", "report", "--skip-covered", "--show-missing", "--fail-under=100", "--include=*/core/*,*/wire/*")


def package(args: list[str]) -> int:
    """Build the wheel, install it alone from the pinned files, weigh it, and run its demo."""
    if args:
        raise SetupFailed("package takes no words.")
    with tempfile.TemporaryDirectory(prefix="segue-package-") as folder:
        wheels, clean = Path(folder, "wheels"), Path(folder, "env")
        backend = f"import uv_build; print(uv_build.build_wheel({str(wheels)!r}))"
        wheels.mkdir()
        if code := call(program("python"), "-c", backend):
            return code
        installer = install(clean, RUN_PINS)
        (wheel,) = wheels.glob("*.whl")
        add_project(installer, str(wheel))
        return weigh(clean) or call(program("segue", clean), "demo", "acme", quiet=True)


def weigh(environment: Path) -> int:
    """Count what an installation consists of, and hold it against the limits."""
    (packages,) = environment.rglob("site-packages")
    names = sorted(path.name.split("-")[0] for path in packages.glob("*.dist-info") if not path.name.startswith(VENV_BRINGS))
    files = [path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    size = sum(path.stat().st_size for path in files if not path.relative_to(packages).parts[0].startswith(VENV_BRINGS))
    print(f"{', '.join(names)}: {len(names)} distributions (limit {MOST_DISTRIBUTIONS}), {size / 1e6:.1f} MB (limit {MOST_MEGABYTES})")
    return 0 if len(names) <= MOST_DISTRIBUTIONS and size < MOST_MEGABYTES * 1e6 else 1


def lock(args: list[str]) -> int:
    """Choose the newest versions that fit and pin them; words go to uv (-U, -P NAME)."""
    uv = shutil.which("uv") or program("uv")
    flags = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-emit-index-url", "--quiet")
    head = (uv, "pip", "compile", "pyproject.toml", *flags, "--custom-compile-command", LOCK_COMMAND, *args)
    return in_turn((*head, "-o", str(RUN_PINS)), (*head, "--group", "dev", "-o", str(DEV_PINS)))


VERBS: Mapping[str, Callable[[list[str]], int]] = {
    verb.__name__: verb for verb in (demo, test, fmt, lint, types, layers, docs, cover, laws, bench, package, lock)
}


def usage() -> str:
    """List the verbs, each with the first sentence of what it does."""
    lines = [f"  {name:<8} {(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items()]
    return "\n".join(["usage: python3 dev.py VERB ...", "", *lines])


def main(argv: list[str]) -> int:
    """Do what the first word says with the words after it."""
    if not argv or argv[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0 if argv else 2
    verb = VERBS.get(argv[0])
    if verb is None:
        print(f"dev.py: there is no verb {argv[0]!r}.\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        ensure_environment()
        return verb(argv[1:])
    except SetupFailed as failure:
        say(str(failure))
        return 1


def entry() -> NoReturn:
    """Run from the command line."""
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    entry()
