"""The way in for clients: sizes, duplicates, quota, bounds, the check (consensus.md 5.1, 5.3, 5.6)."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from catenet.core.ingress import Admitted, Ingress, IngressConfig, Output
from catenet.types.application import ADMITTED, CheckResult
from catenet.types.effects import Acknowledge, CheckTxs, Overload, TxRefusal
from catenet.types.events import Level, Submitted, TxsChecked
from catenet.types.ids import TxId


def ids(*txs: bytes) -> list[TxId]:
    return [sha256(tx).digest() for tx in txs]


class Pool:
    """What is known elsewhere, as plain lists."""

    def __init__(self) -> None:
        self.accepting = True
        self.buffered_bytes = 0
        self.pending: list[TxId] = []
        self.committed: list[TxId] = []

    def pending_ids(self, ids: Sequence[TxId]) -> Mapping[TxId, None]:
        return dict.fromkeys([tx_id for tx_id in ids if tx_id in self.pending])

    def committed_ids(self, ids: Sequence[TxId]) -> Mapping[TxId, None]:
        return dict.fromkeys([tx_id for tx_id in ids if tx_id in self.committed])


class Desk:
    """An ingress with its pool and an application that refuses what begins with `bad`."""

    def __init__(self, **bounds: int) -> None:
        self.pool = Pool()
        self.ingress = Ingress(IngressConfig(**bounds), self.pool)
        self.asked: list[CheckTxs] = []
        self.answered = True

    def submit(self, *txs: bytes, ticket: int = 1, client: str = "alice") -> list[Output]:
        event = Submitted(ticket=ticket, client=client, txs=txs, level=Level.REPLICATED)
        return self.finish(self.ingress.on_submitted(event))

    def finish(self, outputs: list[Output]) -> list[Output]:
        done: list[Output] = []
        for output in outputs:
            if isinstance(output, CheckTxs):
                self.asked.append(output)
                if self.answered:
                    done.extend(self.finish(self.answer(output)))
            else:
                done.append(output)
        return done

    def answer(self, question: CheckTxs) -> list[Output]:
        results = [
            CheckResult(code=3, log="no") if tx.startswith(b"bad") else ADMITTED for tx in question.txs
        ]
        return self.ingress.on_checked(TxsChecked(request=question.request, results=results))


def admitted(outputs: list[Output]) -> list[Admitted]:
    return [output for output in outputs if isinstance(output, Admitted)]


def test_what_the_application_admits_goes_to_the_pool_with_its_ids() -> None:
    [ack, passed] = Desk().submit(b"a", b"b")
    assert ack == Acknowledge(ticket=1, reached=Level.ACCEPTED)
    assert isinstance(passed, Admitted)
    assert list(passed.txs) == [b"a", b"b"]
    assert list(passed.ids) == ids(b"a", b"b")


def test_refusals_name_the_place_in_the_submission() -> None:
    desk = Desk(tx_bytes=10)
    [ack, passed] = desk.submit(b"a", b"bad-1", b"far too large", b"b", b"bad-2")
    assert isinstance(ack, Acknowledge)
    assert ack.refused == (
        TxRefusal(index=1, code=3, reason="no"),
        TxRefusal(index=2, code=0, reason="13 bytes exceed 10"),
        TxRefusal(index=4, code=3, reason="no"),
    )
    assert isinstance(passed, Admitted)
    assert list(passed.txs) == [b"a", b"b"]
    assert list(passed.ids) == ids(b"a", b"b")


def test_56_a_committed_transaction_counts_as_done_and_is_not_checked_again() -> None:
    desk = Desk()
    desk.pool.committed = ids(b"a")
    [_, passed] = desk.submit(b"a")
    assert passed == Admitted(ticket=1, client="alice", txs=[], ids=[], joined=[])
    assert not desk.asked


def test_a_pending_transaction_joins_what_holds_it() -> None:
    desk = Desk()
    desk.pool.pending = ids(b"a")
    [_, passed] = desk.submit(b"a", b"b")
    assert isinstance(passed, Admitted)
    assert list(passed.txs) == [b"b"]
    assert list(passed.joined) == ids(b"a")


def test_a_transaction_twice_in_a_submission_is_taken_once() -> None:
    [_, passed] = Desk().submit(b"a", b"b", b"a")
    assert isinstance(passed, Admitted)
    assert list(passed.txs) == [b"a", b"b"]


def test_what_is_refused_is_refused_at_each_place_where_it_stands() -> None:
    # Whoever waits for the rest to be committed would wait for the second place for ever.
    [ack, passed] = Desk().submit(b"bad", b"a", b"bad", b"bad2", b"a", b"bad")
    assert isinstance(ack, Acknowledge)
    assert isinstance(passed, Admitted)
    assert [refusal.index for refusal in ack.refused] == [0, 2, 3, 5]
    assert list(passed.txs) == [b"a"]


def test_submissions_are_checked_together_few_questions_at_once() -> None:
    desk = Desk(checks=1, check_txs=5)
    desk.answered = False
    for ticket in range(6):
        assert not desk.submit(b"x%d" % ticket, b"y%d" % ticket, ticket=ticket)
    assert len(desk.asked) == 1
    desk.answered = True
    outputs = desk.finish(desk.answer(desk.asked[0]))
    assert [len(question.txs) for question in desk.asked] == [2, 4, 4, 2]
    assert [passed.ticket for passed in admitted(outputs)] == list(range(6))


def test_a_submission_larger_than_a_question_is_asked_whole() -> None:
    desk = Desk(check_txs=2)
    desk.submit(*[b"t%d" % n for n in range(7)])
    assert [len(question.txs) for question in desk.asked] == [7]


def test_53_a_full_buffer_is_overload_at_once() -> None:
    desk = Desk(buffer_bytes=100, client_bytes=1000)
    desk.answered = False
    assert not desk.submit(bytes(60))
    [refused] = desk.submit(bytes(50), ticket=2)
    assert isinstance(refused, Overload)
    assert (refused.ticket, refused.retry_after_us) == (2, 100_000)
    desk.answered = True
    desk.finish(desk.answer(desk.asked[0]))
    assert admitted(desk.submit(b"1" * 50, ticket=3))
    desk.pool.buffered_bytes = 90
    assert isinstance(desk.submit(bytes(20), ticket=4)[0], Overload)


def test_d6_one_client_holds_only_its_share_until_its_batches_are_freed() -> None:
    desk = Desk(client_bytes=100)
    assert admitted(desk.submit(b"a" * 80))
    assert isinstance(desk.submit(b"b" * 30, ticket=2)[0], Overload)
    assert admitted(desk.submit(b"c" * 30, ticket=3, client="bob"))
    desk.ingress.release({"alice": 80})
    assert admitted(desk.submit(b"b" * 30, ticket=4))


def test_a_client_with_nothing_under_way_may_send_more_than_its_share() -> None:
    desk = Desk(client_bytes=100)
    assert admitted(desk.submit(b"a" * 150))
    assert isinstance(desk.submit(b"b", ticket=2)[0], Overload)


def test_what_the_application_refuses_is_not_charged() -> None:
    desk = Desk(client_bytes=100)
    desk.submit(b"bad".ljust(90))
    desk.pool.committed = ids(b"done".ljust(90))
    desk.submit(b"done".ljust(90), ticket=2)
    assert admitted(desk.submit(b"a" * 90, ticket=3))


def test_an_application_that_answers_too_little_admits_none_of_the_rest() -> None:
    desk = Desk()
    desk.answered = False
    desk.submit(b"a", b"b")
    outputs = desk.ingress.on_checked(TxsChecked(request=desk.asked[0].request, results=[ADMITTED]))
    [ack, passed] = outputs
    assert isinstance(ack, Acknowledge)
    assert [refusal.index for refusal in ack.refused] == [1]
    assert isinstance(passed, Admitted)
    assert list(passed.txs) == [b"a"]


def test_a_node_that_is_no_validator_takes_nothing_in() -> None:
    desk = Desk()
    desk.pool.accepting = False
    assert isinstance(desk.submit(b"a")[0], Overload)
