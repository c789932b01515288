//! tendermint-light-client follows a primary, and its detector compares every new block with a witness.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tendermint::block::Height;
use tendermint::crypto::default::Sha256;
use tendermint_light_client::builder::LightClientBuilder;
use tendermint_light_client::light_client::Options;
use tendermint_light_client::store::memory::MemoryStore;
use tendermint_light_client::verifier::types::TrustThreshold;
use tendermint_light_client_detector::{Provider, detect_divergence};
use tendermint_rpc::{Client, HttpClient};

use crate::Result;

const DRIFT: Duration = Duration::from_secs(5);
const LAG: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
const WITNESS: Duration = Duration::from_secs(20);

/// How the next block is chosen: the newest, or the next one; and which share of the trusted power must have signed it.
struct Kind {
    sequential: bool,
    threshold: TrustThreshold,
}

impl Kind {
    fn of(name: &str) -> Result<Self> {
        let (sequential, threshold) = match name {
            "skipping" => (false, TrustThreshold::ONE_THIRD),
            "sequential" => (true, TrustThreshold::ONE_THIRD),
            // Cannot jump to a block that one of four validators has not signed: it has to bisect.
            "strict" => (false, TrustThreshold::new(9, 10)?),
            _ => return Err(format!("{name} is no kind: skipping, sequential or strict").into()),
        };
        Ok(Self {
            sequential,
            threshold,
        })
    }
}

/// Make a light client that trusts block 1 of a node, if that has the hash.
async fn connect(
    node: &str,
    hash: &str,
    threshold: TrustThreshold,
) -> Result<(Provider, HttpClient)> {
    let client = HttpClient::new(node)?;
    let status = client.status().await?;
    let options = Options {
        trust_threshold: threshold,
        trusting_period: Duration::from_secs(86_400),
        clock_drift: DRIFT,
    };
    let store = Box::new(MemoryStore::new());
    let instance =
        LightClientBuilder::prod(status.node_info.id, client.clone(), store, options, None)
            .trust_primary_at(Height::from(1_u32), hash.parse()?)?
            .build();
    Ok((
        Provider::new(
            status.node_info.network.to_string(),
            instance,
            client.clone(),
        ),
        client,
    ))
}

/// The detector takes a witness that is one block behind for a bad one, so wait for it.
async fn wait_for(witness: &HttpClient, height: Height) -> Result<()> {
    let deadline = Instant::now() + WITNESS;
    while witness.status().await?.sync_info.latest_block_height < height {
        if Instant::now() > deadline {
            return Err(format!("the witness has no block {height} after {WITNESS:?}").into());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

pub async fn run(primary: &str, witness: &str, hash: &str, kind: &str) -> Result<Value> {
    let kind = Kind::of(kind)?;
    let (mut followed, node) = connect(primary, hash, kind.threshold).await?;
    let (mut watched, other) = connect(witness, hash, kind.threshold).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        end.store(true, Ordering::SeqCst);
    });
    let mut verified = BTreeMap::new();
    let mut last = Height::from(1_u32);
    let mut steps = 0;
    loop {
        let finish = ended.load(Ordering::SeqCst);
        let newest = node.status().await?.sync_info.latest_block_height;
        while last < newest {
            last = if kind.sequential {
                last.increment()
            } else {
                newest
            };
            let block = followed.verify_to_height(last)?;
            wait_for(&other, last).await?;
            let trace = followed.get_trace(last);
            steps = steps.max(trace.len());
            let found = detect_divergence::<Sha256>(None, &mut watched, trace, DRIFT, LAG).await?;
            if let Some(divergence) = found {
                let theirs = divergence.challenging_block.signed_header.header.hash();
                return Err(format!("block {last}: the witness has another one, {theirs}").into());
            }
            verified.insert(last.value(), block.signed_header.header.hash().to_string());
        }
        if finish {
            let blocks: Vec<_> = verified.into_iter().collect();
            return Ok(
                json!({"chain_id": followed.chain_id(), "blocks": blocks, "longest_trace": steps}),
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
