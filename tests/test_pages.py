"""What the blocks of README and docs must be, and that the checks on them can fail."""

import pytest

from tests.pages import ROOT, Block, blocks, commands, paths, understood

LANGUAGES = {"python", "console", "text", "json", "jsonl", "mermaid", "toml", "ini", "markdown", "http", "sql", "diff", "html", "yaml"}
MOST_EXEMPTIONS = 8


@pytest.mark.parametrize("path", paths(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_says_in_a_known_word_what_it_is(path):
    assert {block.language for block in blocks(path.read_text("utf-8"))} <= LANGUAGES


def test_few_blocks_are_exempt_from_being_run():
    exempt = [(path.name, block.exempt) for path in paths() for block in blocks(path.read_text("utf-8")) if block.exempt]
    assert len(exempt) <= MOST_EXEMPTIONS, exempt


def test_a_block_inside_a_block_is_part_of_its_text():
    page = "````markdown\n```python\n```\n````\n- a list\n\n  ```console\n  $ ls\n    x\n  ```\n"
    assert list(blocks(page)) == [Block(1, "markdown", "```python\n```\n", ""), Block(7, "console", "$ ls\n  x\n", "")]


def test_an_exemption_holds_for_the_next_block_only():
    page = "<!-- run: no, it waits for ever -->\n\n```python\n1\n```\n```python\n2\n```\n"
    assert [block.exempt for block in blocks(page)] == ["it waits for ever", ""]


def test_a_command_is_found_behind_variables_and_pipes():
    block = '$ KEY=1 segue chat a:b --model "x y" | tee log\nsegue is output here\n$ python3 dev.py \\\n  demo\n'
    assert [argv for argv in commands(block) if argv] == [
        ["segue", "chat", "a:b", "--model", "x y"],
        ["tee", "log"],
        ["python3", "dev.py", "demo"],
    ]


@pytest.mark.parametrize("command", ["segue nonsense", "segue demo --no-such-option", "python3 dev.py nonsense"])
def test_a_command_that_does_not_exist_fails_its_page(command):
    with pytest.raises(AssertionError):
        understood(command.split())


@pytest.mark.parametrize("command", ["segue demo acme", "python3 -m segue --version", "python3 dev.py test --slow", "git clone x"])
def test_a_command_that_exists_passes(command):
    understood(command.split())
