"""Locks between processes: they tell the living from the dead, and leave no files behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segue.errors import JournalError, JournalFull
from segue.journal import locks as locks_module
from segue.journal.locks import Locks
from tests.journal.faults import HERE


@pytest.fixture
def locks(tmp_path):
    locks = Locks(str(tmp_path / "segue.db"))
    yield locks
    locks.close()


def files(locks):
    return sorted(file.name for file in Path(locks.folder).iterdir() if file.name.endswith(".lock"))


def holder(tmp_path, driver):
    process = subprocess.Popen([sys.executable, HERE / "writes.py", "hold", tmp_path / "segue.db", driver], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_driver_dies_with_its_process_and_its_file_is_removed_by_who_asks(tmp_path, locks):
    with holder(tmp_path, "d_1") as process:
        assert locks.alive("d_1")
        assert files(locks) == ["d_1.lock"]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not locks.alive("d_1")
        assert files(locks) == []
        process.stdout.close()


def test_a_stopped_process_is_alive(tmp_path, locks):
    with holder(tmp_path, "d_1") as process:
        process.send_signal(signal.SIGSTOP)
        assert locks.alive("d_1")
        process.kill()
        process.stdout.close()


def test_a_driver_that_another_holds_cannot_be_held(tmp_path, locks):
    other = Locks(str(tmp_path / "segue.db"))
    locks.hold("d_1")
    with pytest.raises(JournalError, match="held already"):
        other.hold("d_1")
    other.let_go("d_1")
    assert other.alive("d_1")
    locks.close()
    other.hold("d_1")
    other.close()
    assert files(locks) == []


def test_asking_makes_no_files(locks):
    assert not locks.alive("d_1")
    assert not os.path.exists(locks.folder)


@pytest.mark.parametrize("driver", ["", "../../etc/passwd", "a/b", "turn", "drivers", "x" * 500, "\0", "\ud800", "é"])
def test_a_drivers_name_may_be_anything_and_stays_in_the_folder(locks, driver):
    assert not locks.alive(driver)
    locks.hold(driver)
    assert locks.alive(driver)
    assert len(files(locks)) == 1
    locks.let_go(driver)
    assert not locks.alive(driver)
    assert files(locks) == []


def test_many_who_hold_and_ask_at_once_are_never_told_wrongly(tmp_path):
    """A driver that is held is alive for everyone; one that was let go is dead for everyone."""
    wrong = []

    def live(number):
        mine, other = Locks(str(tmp_path / "segue.db")), Locks(str(tmp_path / "segue.db"))
        for turn in range(50):
            driver = f"d_{number}_{turn % 3}"
            mine.hold(driver)
            wrong.extend(who for who in (mine, other) if not who.alive(driver))
            mine.let_go(driver)
            wrong.extend(who for who in (mine, other) if who.alive(driver))

    def ask():
        asker = Locks(str(tmp_path / "segue.db"))
        for turn in range(400):
            asker.alive(f"d_{turn % 4}_{turn % 3}")

    threads = [threading.Thread(target=live, args=(number,)) for number in range(4)] + [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_folder_that_was_tidied_away_by_hand_is_made_again(locks):
    locks.hold("d_1")
    for file in Path(locks.folder).iterdir():
        file.unlink()
    os.rmdir(locks.folder)
    assert not locks.alive("d_1")  # nobody can see it any more
    locks.let_go("d_1")
    locks.hold("d_1")
    assert locks.alive("d_1")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "segue.db-locks").write_text("in the way")
    with pytest.raises(JournalError, match="see to the rights"):
        Locks(str(tmp_path / "segue.db")).hold("d_1")
    with pytest.raises(JournalError, match="see to the rights"):
        Locks(str(tmp_path / "no" / "segue.db")).hold("d_1")


def test_a_full_disk_is_told(locks, monkeypatch):
    def full(path, how, mode):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(locks_module.os, "open", full)
    with pytest.raises(JournalFull, match="No space left"):
        locks.hold("d_1")


def test_a_system_without_flock_is_told(locks, monkeypatch):
    monkeypatch.setattr(locks_module, "fcntl", None)
    with pytest.raises(JournalError, match="needs flock"):
        locks.hold("d_1")
