from __future__ import annotations

import socket

from edge_agent.mqtt.calls import Calls


def test_calls_keep_their_order_also_from_before_it_was_opened_and_end_a_wait() -> None:
    done: list[int] = []
    calls = Calls()
    calls.put(lambda: done.append(1))
    calls.open()
    calls.put(lambda: done.append(2))
    calls.wait(3600, None, writes=False)
    while (call := calls.next()) is not None:
        call()
    assert done == [1, 2]
    calls.close()
    calls.put(lambda: done.append(3))
    assert done == [1, 2]


def test_a_socket_that_can_be_read_ends_a_wait_and_so_does_one_that_is_closed() -> None:
    calls = Calls()
    calls.open()
    ours, theirs = socket.socketpair()
    theirs.send(b"x")
    calls.wait(3600, ours, writes=False)
    ours.recv(1)
    calls.wait(3600, ours, writes=True)
    theirs.close()
    calls.wait(3600, ours, writes=False)
    ours.close()
    calls.wait(0, ours, writes=False)
    calls.close()


def test_a_flood_of_calls_blocks_nobody() -> None:
    calls = Calls()
    calls.open()
    for _ in range(500_000):
        calls.wake()
    calls.wait(3600, None, writes=False)
    calls.close()
