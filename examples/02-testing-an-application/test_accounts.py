"""Four simulated validators with an application of our own, a partition and a crash."""

from accounts import Accounts

from catenet.testing.network import NetworkFactory


def test_money_survives_a_partition_and_a_crash(catenet_network: NetworkFactory) -> None:
    network = catenet_network(Accounts)
    network.submit(b"ann+5").wait()
    network.partition({0, 1}, {2, 3})  # Neither side has more than two thirds: nothing is decided.
    held = network.submit(b"ann-3", node=2)
    network.run(seconds=5)
    assert held.receipt is None
    network.crash(3)
    network.recover()
    assert network.query("", b"ann", node=3).value == b"2"
    network.check()
