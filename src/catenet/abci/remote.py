"""A foreign application as an `Application`: each verb is one call to it. Nothing is repeated."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from catenet import __version__
from catenet.abci import answers, requests
from catenet.abci.link import SCHEME, Connection, Link
from catenet.chain.header import BLOCK_VERSION
from catenet.chain.params import ConsensusParams
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    PrepareProposal,
    ProcessProposal,
    Query,
    QueryResult,
)
from catenet.types.errors import Corrupt, InvalidInput
from catenet.wire.abci import abci_pb2 as pb

ABCI_VERSION = "2.0.0"

Answer = TypeVar("Answer")

PROPOSAL = pb.ResponseProcessProposal.ProposalStatus

ParamsBefore = Callable[[int], ConsensusParams | None]
"""Gives the parameters in force at a height; None for the first one."""


class RemoteApplication(Application):
    """Speaks for the application at the other end of a link. Raises what the link raises."""

    def __init__(self, link: Link, params_before: ParamsBefore) -> None:
        self._link = link
        self._params_before = params_before
        self._first_params = ConsensusParams()

    def info(self) -> Info:
        """Ask where the application stands."""
        request = pb.RequestInfo(
            version=__version__, block_version=BLOCK_VERSION, p2p_version=0, abci_version=ABCI_VERSION
        )
        return answers.info_in(self._link.call(Connection.QUERY, "Info", request, pb.ResponseInfo))

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Start the application from the genesis."""
        message = self._link.call(
            Connection.CONSENSUS, "InitChain", requests.init_chain_out(request), pb.ResponseInitChain
        )
        result = self._read("InitChain", lambda: answers.init_chain_in(message, request.params))
        self._first_params = result.params or request.params
        self._check_params("InitChain", self._first_params)
        return result

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        """Check a batch: one call after the other, in order."""
        return [self.check_tx(tx, recheck=recheck) for tx in txs]

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Check one transaction."""
        kind = pb.CHECK_TX_TYPE_RECHECK if recheck else pb.CHECK_TX_TYPE_NEW
        request = pb.RequestCheckTx(tx=tx, type=kind)
        return answers.check_in(self._link.call(Connection.MEMPOOL, "CheckTx", request, pb.ResponseCheckTx))

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        """Have the application choose the transactions of a block."""
        message = self._link.call(
            Connection.CONSENSUS,
            "PrepareProposal",
            requests.prepare_out(request),
            pb.ResponsePrepareProposal,
        )
        return tuple(message.txs)

    def process_proposal(self, request: ProcessProposal) -> bool:
        """Have the application judge a block."""
        message = self._link.call(
            Connection.CONSENSUS,
            "ProcessProposal",
            requests.process_out(request),
            pb.ResponseProcessProposal,
        )
        if message.status == PROPOSAL.UNKNOWN:
            text = f"ProcessProposal at height {request.height}: it answered neither ACCEPT nor REJECT"
            raise Corrupt(f"{self._who}: {text}")
        return message.status == PROPOSAL.ACCEPT

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Have a block executed."""
        message = self._link.call(
            Connection.CONSENSUS,
            "FinalizeBlock",
            requests.finalize_out(request),
            pb.ResponseFinalizeBlock,
        )
        base = self._params_before(request.height) or self._first_params
        what = f"FinalizeBlock at height {request.height}"
        outcome = self._read(what, lambda: answers.outcome_in(message, base))
        if outcome.param_updates is not None:
            self._check_params(what, outcome.param_updates)
        return outcome

    def commit(self) -> CommitResult:
        """Have the application keep the block."""
        message = self._link.call(Connection.CONSENSUS, "Commit", pb.RequestCommit(), pb.ResponseCommit)
        return CommitResult(retain_height=message.retain_height)

    def query(self, request: Query) -> QueryResult:
        """Ask for committed state."""
        return answers.query_in(
            self._link.call(Connection.QUERY, "Query", requests.query_out(request), pb.ResponseQuery)
        )

    @property
    def _who(self) -> str:
        return f"the application at {SCHEME}{self._link.target}"

    def _read(self, what: str, read: Callable[[], Answer]) -> Answer:
        try:
            return read()
        except InvalidInput as error:
            raise Corrupt(f"{self._who}: {what}: {error}") from None

    def _check_params(self, what: str, params: ConsensusParams) -> None:
        if params.vote_extensions_height:
            raise Corrupt(
                f"{self._who}: {what}: it wants vote extensions from height"
                f" {params.vote_extensions_height} on; this chain has none:"
                " set vote_extensions_enable_height to 0"
            )
