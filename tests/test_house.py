"""What holds for every file of the project: its size, and what the pinned files may say."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "segue").rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 60


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_file_can_be_read_in_a_sitting(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_function_fits_a_screen_or_says_in_a_comment_why_it_is_long(path):
    source = path.read_text("utf-8")
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    excused = {node.name for node in functions if re.search(r"# long: \w+", ast.get_source_segment(source, node) or "")}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION and name not in excused} == {}


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_a_pinned_file_has_a_hash_for_everything_and_names_no_address(name):
    text = (ROOT / "requirements" / name).read_text("utf-8")
    pins = re.findall(r"^(\S+==\S+)(?: ;[^\\\n]*)? \\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(pins) == len(lines) > 0
    assert not re.search(r"://|--(extra-)?index-url|--find-links|-e |file:", text)


def test_the_pinned_files_pin_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = {"run.txt": project["project"]["dependencies"]}
    asked["dev.txt"] = asked["run.txt"] + project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    for name, wishes in asked.items():
        pinned = {line.split("==")[0] for line in (ROOT / "requirements" / name).read_text("utf-8").splitlines() if "==" in line}
        assert {re.split(r"[<>=\[ ;]", wish)[0].replace("_", "-") for wish in wishes} <= pinned, name
