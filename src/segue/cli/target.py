"""TARGET, as commands take it: `module:attribute`, `module`, `shop.py:attribute` or `shop.py`, and what it names: an agent, or a Runner.
Importing a target runs its code; nothing else is done with it here."""

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from segue.agent import Agent
from segue.errors import UsageError
from segue.runner import Runner
from segue.team import Team

T = TypeVar("T")

USUAL = ("runner", "triage", "agent", "entry")
"""The attributes that are looked at where a target names none."""

_OURS = Path(__file__).parents[1]
_PYTHONS = Path(sysconfig.get_paths()["stdlib"])
_INSTALLED = {"site-packages", "dist-packages"}


class Target(NamedTuple):
    """The entry agent, and where it was found; `runner` is the one that was named, with its limits, live objects and journal."""

    agent: Agent
    module: str
    runner: Runner | None = None

    @property
    def team(self) -> Team:
        """The agents that belong to it: a Runner may name some that nothing else leads to."""
        return self.runner.team if self.runner is not None else Team(self.agent)

    @property
    def example(self) -> str:
        """The name of the example that it belongs to; empty if it is the user's own."""
        package, _, rest = self.module.partition("segue.examples.")
        return rest.partition(".")[0] if not package else ""


def load(target: str) -> Target:
    """Find the agent or Runner that a target names. Raises `UsageError` whose words say what there is instead."""
    place, attribute = _split(target)
    module = _from_file(Path(place)) if _is_file(place) else _from_name(place)
    found = _named(module, place, attribute)
    if isinstance(found, Runner):
        return Target(found.team.entry, module.__name__, found)
    return Target(found, module.__name__)


def absolute(target: str) -> str:
    """The target as it is called in any other directory."""
    place, attribute = _split(target)
    if not _is_file(place):
        return target
    return f"{Path(place).resolve()}:{attribute}" if attribute else str(Path(place).resolve())


def home(target: str) -> Path | None:
    """The folder in which a target's module stands, found without importing it; `None` if it is not found."""
    place, _ = _split(target)
    if _is_file(place):
        return Path(place).resolve().parent
    path: list[str] | None = [str(Path.cwd()), *sys.path]
    for name in place.split("."):
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _split(target: str) -> tuple[str, str]:
    place, colon, attribute = target.rpartition(":")
    if not colon or attribute.startswith(("\\", "/")):  # no attribute, or the colon of a drive
        return target, ""
    if not place or not attribute:
        raise UsageError(f"{target!r} is no target. Write module:attribute or file.py:attribute.")
    return place, attribute


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    _first_on_path(path.resolve().parent)
    name = path.stem if path.stem not in sys.modules else f"segue_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file.")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[name] = module  # before it runs: annotations are looked up there
    _imported(str(path), lambda: loader.exec_module(module), path.resolve())
    return module


def _from_name(name: str) -> ModuleType:
    _first_on_path(Path.cwd())
    return _imported(name, lambda: importlib.import_module(name))


def _imported(name: str, work: Callable[[], T], file: Path | None = None) -> T:
    try:
        return work()
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"There is no module {error.name!r}, neither installed nor in this directory.") from error
        raise UsageError(f"Importing {name} failed: there is no module {error.name!r}{_line_of(error)}. Is it installed?") from error
    except (Exception, SystemExit) as error:
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        relative = file is not None and isinstance(error, ImportError) and "relative import" in str(error)
        mend = f" {_as_module(file)}" if file is not None and relative else ""
        raise UsageError(f"Importing {name} failed: {words.removesuffix('.')}{_line_of(error)}.{mend}") from error


def _as_module(file: Path) -> str:
    """How a file of a package, which imports its neighbours, is named so that it can."""
    root = file.parent.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    there = "" if root == Path.cwd().resolve() else f" in the directory {root}"
    return f"A file that is loaded alone has no package: name the module instead, {name} or {name}:ATTRIBUTE{there}."


def _line_of(error: BaseException) -> str:
    """Where in the user's code an error arose: the last line that is neither Python's, nor Segue's, nor of an installed package."""
    if isinstance(error, SyntaxError) and error.filename is not None and Path(error.filename).is_file():
        return ""  # it says itself where
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    others = [(file, line) for file, line in frames if file.is_file() and not file.is_relative_to(_OURS) and not _is_pythons(file)]
    users = [(file, line) for file, line in others if _INSTALLED.isdisjoint(file.parts)] or others  # the target may be installed itself
    return f" ({users[-1][0].name}, line {users[-1][1]})" if users else ""


def _is_pythons(file: Path) -> bool:
    return file.is_relative_to(_PYTHONS) and _INSTALLED.isdisjoint(file.parts)


def _first_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _named(module: ModuleType, place: str, attribute: str) -> Agent | Runner:
    there = {name: value for name, value in vars(module).items() if isinstance(value, Agent | Runner)}
    agents = [name for name, value in there.items() if isinstance(value, Agent)]
    runners = [name for name, value in there.items() if isinstance(value, Runner)]
    listed = f"Its agents: {', '.join(agents)}." if agents else "It has no agents."
    if runners:
        listed += f" Its Runners: {', '.join(runners)}."
    if attribute:
        value: Any = module
        for part in attribute.split("."):
            if not hasattr(value, part):
                raise UsageError(f"{place} has no {attribute!r}. {listed}")
            value = getattr(value, part)
        if not isinstance(value, Agent | Runner):
            raise UsageError(f"{place}:{attribute} is a {type(value).__name__}, not an Agent or a Runner. {listed}")
        return value
    kind, names = ("Runners", runners) if runners else ("agents", agents)
    for name in USUAL:
        if name in names:
            return there[name]
    distinct = {id(there[name]): there[name] for name in names}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not distinct:
        raise UsageError(f"{place} has no agents. Name one that it leads to: {place}:ATTRIBUTE.")
    raise UsageError(f"{place} has several {kind}: {', '.join(names)}. Say with which to begin: {place}:{names[0]}.")
