//! Every method of tendermint-rpc against a node, over HTTP and over the WebSocket, and its events.
//!
//! What the crate cannot parse is a failure of its own; on top of that hashes and proofs are computed again.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use serde_json::{Value, json};
use tendermint::block::Height;
use tendermint::crypto::default::Sha256;
use tendermint::merkle::{self, MerkleHash, simple_hash_from_byte_vectors};
use tendermint::{Genesis, Hash};
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::event::{Event, EventData};
use tendermint_rpc::query::{EventType, Query};
use tendermint_rpc::{
    Client, HttpClient, Order, Paging, Subscription, SubscriptionClient, WebSocketClient,
};

use crate::Result;

const WAIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Report {
    methods: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Note a call; what it answered is returned if it parsed and `holds` says that it is right.
    fn check<T: Debug, E: Debug>(
        &mut self,
        name: &str,
        answer: std::result::Result<T, E>,
        holds: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        self.methods.push(name.to_string());
        match answer {
            Ok(value) if holds(&value) => return Some(value),
            Ok(value) => self.failures.push(format!("{name}: {value:?}")),
            Err(error) => self.failures.push(format!("{name}: {error:?}")),
        }
        None
    }
}

/// Return a transaction that was not sent before: `name`, a number, `=rust`.
fn fresh_tx(name: &str) -> Vec<u8> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is after 1970");
    format!("{name}{}=rust", now.as_nanos()).into_bytes()
}

fn hash_of(tx: &[u8]) -> Hash {
    Hash::Sha256(<Sha256 as tendermint::crypto::Sha256>::digest(tx))
}

/// Compute the root that a proof leads to; the crate parses proofs, but has no function for this.
fn root(index: u64, total: u64, leaf: merkle::Hash, aunts: &[Hash]) -> Option<merkle::Hash> {
    let Some((Hash::Sha256(aunt), rest)) = aunts.split_last() else {
        return (total == 1 && aunts.is_empty()).then_some(leaf);
    };
    if index >= total || total < 2 {
        return None;
    }
    let left = total.next_power_of_two() / 2;
    let mut hasher = Sha256::default();
    if index < left {
        Some(hasher.inner_hash(root(index, left, leaf, rest)?, *aunt))
    } else {
        Some(hasher.inner_hash(*aunt, root(index - left, total - left, leaf, rest)?))
    }
}

fn proves(proof: &tendermint::tx::Proof, tx: &[u8], data_hash: Hash) -> bool {
    let Hash::Sha256(id) = hash_of(tx) else {
        return false;
    };
    let leaf = Sha256::default().leaf_hash(&id);
    let path = &proof.proof;
    proof.data == tx
        && path.leaf_hash == Hash::Sha256(leaf)
        && root(path.index, path.total, leaf, &path.aunts).map(Hash::Sha256) == Some(data_hash)
}

async fn transactions<C: Client + Sync>(
    client: &C,
    report: &mut Report,
) -> Option<(Vec<u8>, Height)> {
    let tx = fresh_tx("commit");
    let sent = report.check(
        "broadcast_tx_commit",
        client.broadcast_tx_commit(tx.clone()).await,
        |done| {
            done.check_tx.code.is_ok() && done.tx_result.code.is_ok() && done.hash == hash_of(&tx)
        },
    )?;
    let other = fresh_tx("sync");
    report.check(
        "broadcast_tx_sync",
        client.broadcast_tx_sync(other.clone()).await,
        |done| done.code.is_ok() && done.hash == hash_of(&other),
    );
    report.check(
        "broadcast_tx_sync refused",
        client.broadcast_tx_sync(*b"refused").await,
        |done| done.code.is_err(),
    );
    report.check(
        "broadcast_tx_commit refused",
        client.broadcast_tx_commit(*b"refused").await,
        |done| done.check_tx.code.is_err(),
    );
    report.check(
        "broadcast_tx_async",
        client.broadcast_tx_async(fresh_tx("async")).await,
        |_| true,
    );
    let found = report.check("tx", client.tx(hash_of(&tx), true).await, |found| {
        found.tx == tx && found.height == sent.height && found.tx_result.code.is_ok()
    });
    let block = report.check("block", client.block(sent.height).await, |found| {
        let ids: Vec<_> = found.block.data.iter().map(|tx| hash_of(tx)).collect();
        let data_hash = Hash::Sha256(simple_hash_from_byte_vectors::<Sha256>(&ids));
        found.block.header.data_hash == Some(data_hash)
            && found.block_id.hash == found.block.header.hash()
    })?;
    let data_hash = block.block.header.data_hash.unwrap_or_default();
    report.check(
        "tx proof",
        found.and_then(|found| found.proof).ok_or("there is none"),
        |proof| proves(proof, &tx, data_hash) && !proves(proof, &other, data_hash),
    );
    for query in [
        Query::eq("tx.height", sent.height.value()),
        Query::eq("tx.hash", hash_of(&tx).to_string()),
    ] {
        let answer = client.tx_search(query, true, 1, 30, Order::Ascending).await;
        report.check("tx_search", answer, |found| {
            found.txs.iter().any(|one| {
                one.tx == tx
                    && one
                        .proof
                        .as_ref()
                        .is_some_and(|p| proves(p, &tx, data_hash))
            })
        });
    }
    Some((tx, sent.height))
}

async fn chain<C: Client + Sync>(client: &C, report: &mut Report, height: Height) {
    report.check("commit latest", client.latest_commit().await, |found| {
        found.signed_header.header.height >= height
    });
    let signed = report.check("commit", client.commit(height).await, |found| {
        found.canonical
            && found.signed_header.commit.block_id.hash == found.signed_header.header.hash()
    });
    let Some(signed) = signed else { return };
    let (header, hash) = (
        signed.signed_header.header.clone(),
        signed.signed_header.header.hash(),
    );
    for (next, expected) in [
        (height, header.validators_hash),
        (height.increment(), header.next_validators_hash),
    ] {
        let answer = client.validators(next, Paging::All).await;
        report.check("validators", answer, |found| {
            tendermint::validator::Set::without_proposer(found.validators.clone()).hash()
                == expected
        });
    }
    report.check(
        "validators page",
        client.validators(height, Paging::Default).await,
        |found| found.total >= 1,
    );
    report.check("block latest", client.latest_block().await, |found| {
        found.block.header.height >= height
    });
    report.check("block first", client.block(1_u32).await, |found| {
        found.block.last_commit.is_none()
    });
    report.check("block_by_hash", client.block_by_hash(hash).await, |found| {
        found
            .block
            .as_ref()
            .is_some_and(|block| block.header == header)
    });
    report.check("header", client.header(height).await, |found| {
        found.header == header
    });
    report.check(
        "header_by_hash",
        client.header_by_hash(hash).await,
        |found| found.header.as_ref() == Some(&header),
    );
    report.check(
        "block_results",
        client.block_results(height).await,
        |found| {
            found
                .txs_results
                .as_ref()
                .is_some_and(|results| !results.is_empty())
                && !found.app_hash.as_bytes().is_empty()
        },
    );
    report.check(
        "block_results first",
        client.block_results(1_u32).await,
        |found| found.height.value() == 1,
    );
    report.check(
        "block_results latest",
        client.latest_block_results().await,
        |found| found.height >= height,
    );
    let query = Query::eq("block.height", height.value());
    report.check(
        "block_search",
        client.block_search(query, 1, 10, Order::Descending).await,
        |found| found.total_count == 1 && found.blocks[0].block.header == header,
    );
    report.check(
        "blockchain",
        client.blockchain(Height::from(1_u32), height).await,
        |found| {
            found
                .block_metas
                .first()
                .is_some_and(|meta| meta.header == header)
        },
    );
    report.check(
        "consensus_params",
        client.consensus_params(height).await,
        |found| found.consensus_params.block.max_bytes > 0,
    );
    report.check(
        "consensus_params latest",
        client.latest_consensus_params().await,
        |_| true,
    );
}

async fn about<C: Client + Sync>(client: &C, report: &mut Report, tx: &[u8]) {
    report.check("health", client.health().await, |()| true);
    report.check("status", client.status().await, |found| {
        let dialect = CompatMode::from_version(found.node_info.version.clone());
        dialect.is_ok_and(|mode| mode == CompatMode::V0_38)
            && found.validator_info.power.value() > 0
    });
    report.check("net_info", client.net_info().await, |found| {
        found.n_peers == found.peers.len() as u64
    });
    let genesis: std::result::Result<Genesis<Value>, _> = client.genesis().await;
    let genesis = report.check("genesis", genesis, |found| !found.validators.is_empty());
    report.check(
        "genesis_chunked",
        client.genesis_chunked(0).await,
        |found| {
            let parsed: Option<Genesis<Value>> = serde_json::from_slice(&found.data).ok();
            found.total == 1 && parsed.map(|one| one.chain_id) == genesis.map(|one| one.chain_id)
        },
    );
    report.check("abci_info", client.abci_info().await, |found| {
        found.last_block_height.value() > 0
    });
    let key = tx.split(|byte| *byte == b'=').next().unwrap_or_default();
    let answer = client
        .abci_query(Some("/store".to_string()), key, None, true)
        .await;
    report.check("abci_query", answer, |found| {
        found.code.is_ok() && found.value == b"rust"
    });
    let answer = client.abci_query(None, *b"nothing", None, false).await;
    report.check("abci_query nothing", answer, |found| found.value.is_empty());
}

/// Return the next event of a subscription that is `wanted`.
async fn hear(mut events: Subscription, wanted: impl Fn(&EventData) -> bool) -> Result<Event> {
    let found = async {
        while let Some(event) = events.next().await {
            let event = event?;
            if wanted(&event.data) {
                return Ok(event);
            }
        }
        Err("the subscription has ended".into())
    };
    tokio::time::timeout(WAIT, found).await?
}

async fn events(client: &WebSocketClient, report: &mut Report) -> Result<()> {
    let blocks = client.subscribe(EventType::NewBlock.into()).await?;
    let txs = client.subscribe(EventType::Tx.into()).await?;
    let tx = fresh_tx("event");
    let sent = client.broadcast_tx_commit(tx.clone()).await?;
    let heard = hear(
        txs,
        |data| matches!(data, EventData::Tx { tx_result } if tx_result.tx == tx),
    );
    report.check("subscribe Tx", heard.await, |event| match &event.data {
        EventData::Tx { tx_result } => tx_result.height as u64 == sent.height.value(),
        _ => false,
    });
    let heard = hear(
        blocks,
        |data| matches!(data, EventData::NewBlock { block: Some(block), .. } if block.header.height == sent.height),
    );
    report.check("subscribe NewBlock", heard.await, |event| {
        match &event.data {
            EventData::NewBlock {
                block: Some(block),
                block_id,
                result_finalize_block: Some(result),
            } => {
                block.data.contains(&tx)
                    && block.header.hash() == block_id.hash
                    && result.tx_results.len() == block.data.len()
            }
            _ => false,
        }
    });
    let done = client.unsubscribe(EventType::Tx.into()).await;
    report.check("unsubscribe", done, |()| true);
    Ok(())
}

async fn all<C: Client + Sync>(client: &C, report: &mut Report) {
    let Some((tx, height)) = transactions(client, report).await else {
        return;
    };
    // The commit of a height is canonical once the next block holds it.
    report.check(
        "broadcast_tx_commit",
        client.broadcast_tx_commit(fresh_tx("next")).await,
        |_| true,
    );
    chain(client, report, height).await;
    about(client, report, &tx).await;
}

pub async fn run(node: &str) -> Result<Value> {
    let mut report = Report::default();
    let mode = CompatMode::V0_38;
    let client = HttpClient::builder(node.parse()?)
        .compat_mode(mode)
        .build()?;
    all(&client, &mut report).await;
    let address = format!("{}/websocket", node.replacen("http", "ws", 1));
    let (client, driver) = WebSocketClient::builder(address.as_str().parse()?)
        .compat_mode(mode)
        .build()
        .await?;
    let driving = tokio::spawn(driver.run());
    all(&client, &mut report).await;
    events(&client, &mut report).await?;
    client.close()?;
    report.check("close", driving.await?, |()| true);
    Ok(json!({"methods": report.methods, "failures": report.failures}))
}
