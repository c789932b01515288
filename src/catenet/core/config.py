"""The settings of a core: those of its machines, handed on to them."""

from dataclasses import dataclass, field

from catenet.core.batches.io import BatchConfig
from catenet.core.consensus.io import ConsensusConfig
from catenet.core.ingress import IngressConfig
from catenet.core.sync.io import SyncConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """None of it is part of the chain."""

    consensus: ConsensusConfig = field(default_factory=ConsensusConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    ingress: IngressConfig = field(default_factory=IngressConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
