import pytest

from segue.core.log import Log, Names


def test_a_longer_log_leaves_the_shorter_one_as_it_was():
    short = Log([1])
    longer = short.append(2)
    assert list(short) == [1]
    assert list(longer) == [1, 2]


def test_two_futures_of_one_log_know_nothing_of_each_other():
    past = Log([1])
    first, second = past.append(2), past.append(3)
    assert (list(first), list(second), list(past)) == ([1, 2], [1, 3], [1])
    assert list(first.append(4)) == [1, 2, 4]


def test_along_one_line_of_history_nothing_is_copied():
    log = Log()
    storage = log._items
    for item in range(100):
        log = log.append(item)
    assert log._items is storage


def test_a_log_can_be_cut_and_read_from_a_place_on():
    log = Log("abcd")
    assert list(log.upto(2)) == ["a", "b"]
    assert list(log.upto(9)) == list("abcd")
    assert log.since(2) == ["c", "d"]
    assert log.upto(3).since(2) == log.upto(3).between(2, 9) == log.between(2, 3) == ["c"]
    assert list(log.upto(2).append("x")) == ["a", "b", "x"]
    assert list(log) == list("abcd")


def test_a_log_without_one_of_its_items_is_another_log():
    log = Log("abc")
    assert list(log.without(1)) == ["a", "c"]
    assert list(log) == list("abc")


def test_an_item_behind_the_end_is_not_to_be_had_though_the_storage_holds_it():
    short = Log("a")
    short.append("b")
    assert short[0] == "a"
    for place in (1, -1):
        with pytest.raises(IndexError):
            short[place]


def test_logs_are_equal_by_what_they_hold():
    past = Log([1])
    past.append(3)
    assert past.append(2) == Log([1, 2])
    assert past != Log([1, 2])
    assert past != [1]
    assert repr(past) == "Log([1])"


def test_a_larger_set_of_names_leaves_the_smaller_one_as_it_was():
    empty = Names()
    small = empty.add("a")
    large = small.add("b")
    assert "b" not in small
    assert "b" in large
    assert (len(empty), len(small), len(large)) == (0, 1, 2)
    assert list(small) == ["a"]


def test_two_futures_of_one_set_of_names_know_nothing_of_each_other():
    past = Names().add("a")
    first, second = past.add("b"), past.add("c")
    assert "c" not in first
    assert "b" not in second
    assert "a" in first
    assert "a" in second
    assert past.add("b").add("c") == second.add("b")


def test_a_name_that_is_known_adds_nothing():
    names = Names().add("a")
    assert names.add("a") is names
    assert names != {"a"}
    assert repr(names) == "Names(['a'])"
