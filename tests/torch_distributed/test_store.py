"""The ranks' exchange over a store whose server serves its clients in no order between them."""

import pytest

from zenith.torch import _ranks


class Client:
    """A rank's connection: over TCP a set() is only sent, and served before the next question."""

    def __init__(self, server: dict[str, str]) -> None:
        self.server = server
        self.sent: list[tuple[str, str]] = []

    def set(self, key: str, value: str) -> None:
        self.sent.append((key, value))

    def check(self, keys: list[str]) -> bool:
        self.server.update(self.sent)
        self.sent.clear()
        return all(key in self.server for key in keys)

    def get(self, key: str) -> str:
        assert self.check([key])
        return self.server[key]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_at_the_second_step_both_ranks_know_the_norm_of_the_other(monkeypatch, order):
    server: dict[str, str] = {}
    clients = [Client(server), Client(server)]
    ranks = [_ranks.RanksAgree(None), _ranks.RanksAgree(None)]

    def step(rank: int) -> None:
        monkeypatch.setattr(_ranks, "_started", 0)  # each rank counts in a process of its own
        monkeypatch.setattr(_ranks, "_peer", lambda _: 1 - rank)
        monkeypatch.setattr(_ranks, "_store", lambda: clients[rank])
        monkeypatch.setattr(_ranks.dist, "get_rank", lambda: rank)
        ranks[rank].check(1.0 + rank)

    for rank in order:
        step(rank)
    for rank in order:  # neither goes on where the other one raises, to be waited for
        with pytest.raises(RuntimeError, match="is local to a rank"):
            step(rank)
