"""Readers of messages: of peers, of clients, of a node's answers, and of the journal's records."""

from collections.abc import Callable, Mapping
from random import Random
from typing import TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2 as health

from catenet.chain.encoding import BYTES, DecodeError, delimited, uvarint
from catenet.client import read as client_read
from catenet.client.stream import block_txs
from catenet.types.errors import Corrupt, InvalidInput
from catenet.wire import convert, hello
from catenet.wire.grpc_server import parser
from catenet.wire.records import decode_outcome, decode_record, encode_outcome, encode_record
from catenet.wire.seed import blockchain_pb2 as seed
from catenet.wire.v1 import journal_pb2, peer_pb2
from catenet.wire.v1 import query_pb2 as query
from support.fuzzing.corpus import corpus, records
from support.fuzzing.mutation import altered
from support.fuzzing.protobuf import message
from support.fuzzing.targets import Make, Target, anything, reading, settled
from support.fuzzing.values import chance, pick

T = TypeVar("T")

OUTCOME_BYTES = 128 << 20
"""Equal results in a row are written once with their number: a block of a million of them is a few bytes."""

PUBLIC_METHODS: Mapping[str, type[Message]] = {
    "/blockchain.Node/GetLatestBlock": seed.BlockRequest,
    "/blockchain.Node/BroadcastTransaction": seed.Transaction,
    "/blockchain.Node/BroadcastTransactions": seed.TransactionBatch,
    "/blockchain.Node/SubmitBatches": seed.TransactionBatch,
    "/blockchain.BlockSyncService/SyncBlocks": seed.SyncRequest,
    "/catenet.v1.Query/Status": query.StatusRequest,
    "/catenet.v1.Query/GetBlock": query.GetBlockRequest,
    "/catenet.v1.Query/GetBlocksByHeight": query.GetBlocksByHeightRequest,
    "/catenet.v1.Query/GetTransaction": query.GetTransactionRequest,
    "/catenet.v1.Query/GetTransactions": query.GetTransactionsRequest,
    "/catenet.v1.Query/Query": query.QueryRequest,
    "/catenet.v1.Query/QueryMany": query.QueryManyRequest,
    "/grpc.health.v1.Health/Check": health.HealthCheckRequest,
    "/grpc.health.v1.Health/Watch": health.HealthCheckRequest,
}
REQUESTS: tuple[type[Message], ...] = (*dict.fromkeys(PUBLIC_METHODS.values()), peer_pb2.BlocksRequest)


def from_kind(kind: type[Message]) -> Make:
    """Return a maker of messages of a kind, some of them altered afterwards."""
    descriptor = cast("Descriptor", kind.DESCRIPTOR)

    def make(random: Random) -> bytes:
        made = message(descriptor, random, corpus().pieces())
        return altered(made, random) if chance(random, 4) else made

    return make


def frame_of(kind: str) -> Make:
    """Return a maker of frames that hold one message of a kind, made from its descriptor."""
    field = cast("Descriptor", peer_pb2.Msg.DESCRIPTOR).fields_by_name[kind]
    inner = field.message_type
    assert inner is not None

    def make(random: Random) -> bytes:
        body = message(inner, random, corpus().pieces())
        held = uvarint(field.number << 3 | BYTES) + delimited(body)
        framed = b"\x08\x05\x12" + delimited(held)
        return altered(framed, random) if chance(random, 4) else framed

    return make


def real_record(random: Random) -> bytes:
    """Return a record of the journal: a real one that was altered, or one from the descriptor."""
    if chance(random, 2):
        return from_kind(journal_pb2.Record)(random)
    made = [encode_record(record) for record in records()]
    return altered(pick(random, made), random, made)


def wire_targets() -> list[Target]:
    """Return the readers of everything that comes over a connection or stands in the journal."""
    invalid = (InvalidInput,)
    made: list[Target] = [
        _settled("frame", from_kind(peer_pb2.Frame), convert.decode_frame, _encode_frame, invalid, weight=6),
        _settled("hello", frame_of("hello"), hello.decode_hello, _spread(hello.encode_hello), invalid),
        _settled("proof", frame_of("proof"), hello.decode_proof, _spread(hello.encode_proof), invalid),
        _settled(
            "wanted",
            from_kind(peer_pb2.Wanted),
            convert.decode_wanted,
            convert.encode_wanted,
            invalid,
        ),
        _settled(
            "found",
            from_kind(peer_pb2.Found),
            convert.decode_found,
            convert.encode_found,
            invalid,
            weight=2,
        ),
        _settled("run", from_kind(peer_pb2.BlockRun), convert.decode_run, convert.encode_run, invalid),
        _settled(
            "record",
            real_record,
            decode_record,
            encode_record,
            (Corrupt,),
            weight=4,
            peak_bytes=OUTCOME_BYTES,
        ),
        _settled(
            "outcome",
            from_kind(journal_pb2.ExecutedRecord),
            decode_outcome,
            encode_outcome,
            (Corrupt,),
            weight=2,
            peak_bytes=OUTCOME_BYTES,
        ),
    ]
    return [*made, *map(_request, REQUESTS), *_answers()]


def _settled(
    name: str,
    make: Make,
    read: Callable[[bytes], T],
    write: Callable[[T], bytes],
    errors: tuple[type[Exception], ...],
    *,
    weight: int = 1,
    peak_bytes: int = 4 << 20,
) -> Target:
    return reading(
        f"wire.{name}",
        make,
        read,
        errors=errors,
        check=settled(read, write),
        weight=weight,
        peak_bytes=peak_bytes,
    )


def _encode_frame(frame: convert.Frame) -> bytes:
    return convert.encode_frame(frame.lamport, frame.messages)


def _spread(encode: Callable[[int, T], bytes]) -> Callable[[tuple[int, T]], bytes]:
    return lambda read: encode(*read)


def _request(kind: type[Message]) -> Target:
    return reading(
        f"request.{kind.DESCRIPTOR.full_name}",
        from_kind(kind),
        parser(kind),
        errors=(InvalidInput,),
        check=anything,
    )


def _answers() -> list[Target]:
    """Return what a client makes of a node's answers."""

    def block(data: bytes) -> object:
        return client_read.block(parser(query.Block)(data))

    def transaction(data: bytes) -> object:
        found = client_read.transaction(parser(query.TransactionResult)(data))
        return found.proof is not None and found.proof.verify(bytes(32), found.id)

    def stream(data: bytes) -> object:
        return block_txs(parser(seed.BlockResponse)(data).block)

    made: list[tuple[type[Message], Callable[[bytes], object]]] = [
        (query.Block, block),
        (query.TransactionResult, transaction),
        (seed.BlockResponse, stream),
    ]
    refusals = (InvalidInput, Corrupt, DecodeError)
    return [
        reading(f"answer.{kind.DESCRIPTOR.name}", from_kind(kind), read, errors=refusals, check=anything)
        for kind, read in made
    ]
