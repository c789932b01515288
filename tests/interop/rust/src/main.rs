//! The clients of tendermint-rs against a node, as they come from their crates.
//!
//!     rust-clients calls http://127.0.0.1:26657
//!     rust-clients light PRIMARY WITNESS HASH skipping|sequential|strict
//!
//! `calls` asks everything that tendermint-rpc can ask. `light` trusts block 1 by its hash and follows the chain with
//! tendermint-light-client until standard input ends. Both print one JSON object.

mod calls;
mod light;

use std::process::ExitCode;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["calls", node] => calls::run(node).await,
        ["light", primary, witness, hash, kind] => light::run(primary, witness, hash, kind).await,
        _ => Err("usage: rust-clients calls NODE | light PRIMARY WITNESS HASH KIND".into()),
    };
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
