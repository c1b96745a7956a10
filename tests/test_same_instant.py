"""Many processes resume or approve one conversation at the same instant: one goes on, and one effect comes of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale import scaled


class Races:
    """Trials in processes that are forked from one without threads."""

    def __init__(self, journal: str, ledger: Path) -> None:
        self.journal, self.ledger, self.trials = journal, ledger, 0

    def run(self, kind: str, processes: int, trials: int) -> None:
        """Let so many processes do the same to one conversation at the same instant, and see that one of them went on."""
        names = [f"c{self.trials + number}" for number in range(trials)]
        self.trials += trials
        spec = {"journal": self.journal, "ledger": str(self.ledger), "kind": kind, "processes": processes, "names": names}
        words = [sys.executable, "-m", "tests.otherwise", "race", json.dumps(spec)]
        ran = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-3000:]
        results = json.loads(ran.stdout)
        done = self.ledger.read_text().splitlines()
        assert len(results) == trials
        effect, answer = ("sign", "Signed, or not.") if kind == "approve" else ("pay", "Paid.")
        for result in results:
            name, came = result["name"], result["came"]
            assert result["status"] == "idle", result
            assert len(result["drivers"]) == 1, result
            assert done.count(f"{effect} {name} 1.0") == 1, result
            errors = {(one["error"], one["reason"]) for one in came if "error" in one}
            answers = [one["text"] for one in came if "error" not in one]
            assert set(answers) == {answer}, result
            if kind == "approve":
                assert len(answers) == 1, result
                assert errors <= {("ApprovalError", "decided"), ("ApprovalError", "consumed")}, result
            else:  # who comes when the winner is done already is given the last run's response
                assert errors <= {("ConversationBusy", "")}, result


@pytest.mark.parametrize("processes", [2, 16])
@pytest.mark.parametrize("kind", ["resume", "approve"])
def test_of_many_processes_that_do_the_same_at_the_same_instant_one_goes_on(tmp_path, kind, processes):
    Races(str(tmp_path / "segue.db"), tmp_path / "ledger").run(kind, processes, 6 if processes == 2 else 2)


@pytest.mark.parametrize("kind", ["resume", "approve"])
def test_of_many_processes_on_postgresql_that_do_the_same_at_the_same_instant_one_goes_on(tmp_path, database, kind):
    races = Races(database, tmp_path / "ledger")
    races.run(kind, 2, 2)
    races.run(kind, 16, 1)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_in_a_thousand_races_over_both_stores_one_goes_on(tmp_path, request, store):
    journal = str(tmp_path / "segue.db") if store == "sqlite" else request.getfixturevalue("database")
    races = Races(journal, tmp_path / "ledger")
    for kind in ("resume", "approve"):
        races.run(kind, 2, scaled(150))
        races.run(kind, 16, scaled(100))
    assert races.trials == 2 * (scaled(150) + scaled(100))
