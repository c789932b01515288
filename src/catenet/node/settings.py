"""From the operator's configuration to the settings of the machines. Names and units change, nothing else."""

from catenet.core.batches.io import BatchConfig
from catenet.core.config import CoreConfig
from catenet.core.consensus.io import ConsensusConfig
from catenet.core.ingress import IngressConfig
from catenet.network.config import NetworkConfig
from catenet.node.config import NodeConfig

MS = 1000


def core_config(config: NodeConfig) -> CoreConfig:
    """Return the settings of the core."""
    consensus, batches = config.consensus, config.batches
    return CoreConfig(
        consensus=ConsensusConfig(
            propose_us=consensus.propose_timeout_ms * MS,
            prevote_us=consensus.prevote_timeout_ms * MS,
            precommit_us=consensus.precommit_timeout_ms * MS,
            round_cap_us=consensus.timeout_max_ms * MS,
            resend_us=consensus.status_resend_ms * MS,
            idle_status_us=consensus.status_idle_ms * MS,
            min_block_interval_us=consensus.min_block_interval_ms * MS,
            proof_delay_us=consensus.proof_delay_ms * MS,
            heartbeat_us=consensus.heartbeat_interval_ms * MS,
            commit_grace_us=consensus.commit_grace_ms * MS,
            dead_proposer_shortcut=consensus.dead_proposer_shortcut,
        ),
        batches=BatchConfig(
            seal_bytes=batches.seal_bytes,
            seal_us=batches.seal_delay_ms * MS,
            tx_bytes=batches.tx_bytes_max,
            window_batches=batches.window_batches,
            window_bytes=batches.window_bytes,
            pipe_bytes=batches.pipe_bytes,
            ttl_heights=batches.expire_heights,
            ttl_ns=batches.expire_s * 10**9,
        ),
        ingress=IngressConfig(
            tx_bytes=batches.tx_bytes_max,
            buffer_bytes=batches.window_bytes,
            client_bytes=batches.window_bytes // 8,
        ),
    )


def network_config(config: NodeConfig) -> NetworkConfig:
    """Return the settings of the peer connections."""
    network = config.network
    return NetworkConfig(
        listen=str(config.listen.peer),
        ping_s=network.ping_interval_ms / 1000,
        ping_misses=network.ping_misses,
        reconnect_s_max=network.reconnect_max_ms / 1000,
        bulk_outbox_bytes=2 * config.batches.pipe_bytes,
    )
