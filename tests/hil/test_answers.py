"""The answer log keeps every answer, or says that it could not."""

import pytest

from hil.answers import AnswerLog, LogFullError


def test_what_is_appended_comes_back_as_columns():
    log = AnswerLog()
    first, second = log.add_device("plc1"), log.add_device("plc2")
    log.append(first, 1, 100, b"\0\1\0\2")
    log.append(second, 7, 200, b"")
    log.append(first, 2, 300, b"\0\3")
    seen = log.answers()
    assert seen.names == ("plc1", "plc2")
    assert seen.device.tolist() == [0, 1, 0]
    assert seen.counter.tolist() == [1, 7, 2]
    assert seen.monotonic_ns.tolist() == [100, 200, 300]
    assert seen.registers == (b"\0\1\0\2", b"", b"\0\3")


def test_registers_need_not_be_kept():
    log = AnswerLog(keep_registers=False)
    log.append(log.add_device("plc1"), 1, 100, b"\0\1")
    assert log.answers().registers == ()
    assert len(log) == 1


@pytest.mark.parametrize("bound", [{"max_answers": 2}, {"max_register_bytes": 5}])
def test_a_full_log_gives_no_half_truth(bound):
    log = AnswerLog(**bound)
    device = log.add_device("plc1")
    log.append(device, 1, 1, b"ab")
    log.append(device, 2, 2, b"ab")
    assert len(log.answers().counter) == 2
    log.append(device, 3, 3, b"ab")
    with pytest.raises(LogFullError, match="full at 2 answers"):
        log.answers()


def test_an_empty_log_is_empty_columns():
    assert len(AnswerLog().answers().counter) == 0
