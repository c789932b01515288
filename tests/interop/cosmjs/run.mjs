// Every method of Comet38Client against a node, over HTTP and over a WebSocket, and every subscription.
//
//   node run.mjs http://127.0.0.1:26657
//
// Prints one JSON object: how many calls of which method were made, and what failed. Nothing of a failure is
// swallowed: a method that throws, or whose answer does not hold what it must, is in `failures`.

import { Comet38Client, connectComet } from "@cosmjs/tendermint-rpc";
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

const WAIT_MS = 20_000;
const http = process.argv[2];
const websocket = http.replace("http://", "ws://");
const calls = {};
const failures = [];

const tx = (text) => new TextEncoder().encode(`${text}-${randomBytes(6).toString("hex")}=cosmjs`);
const idOf = (bytes) => createHash("sha256").update(bytes).digest();
const hex = (bytes) => Buffer.from(bytes).toString("hex").toUpperCase();

async function check(transport, name, body) {
  calls[name] = (calls[name] ?? 0) + 1;
  try {
    await body();
  } catch (error) {
    failures.push(`${transport} ${name}: ${error?.stack ?? error}`);
  }
}

async function everyMethod(client, transport) {
  const one = (name, body) => check(transport, name, body);
  const sent = tx("commit");
  let done;
  await one("broadcastTxCommit", async () => {
    done = await client.broadcastTxCommit({ tx: sent });
    assert.equal(done.txResult.code, 0);
    assert.ok(done.height > 0);
    assert.deepEqual(Buffer.from(done.hash), idOf(sent));
  });
  await one("broadcastTxSync", async () => {
    assert.equal((await client.broadcastTxSync({ tx: tx("sync") })).code, 0);
    assert.notEqual((await client.broadcastTxSync({ tx: new TextEncoder().encode("refused") })).code, 0);
  });
  await one("broadcastTxAsync", async () => {
    const bytes = tx("async");
    assert.deepEqual(Buffer.from((await client.broadcastTxAsync({ tx: bytes })).hash), idOf(bytes));
  });
  await one("tx", async () => {
    const found = await client.tx({ hash: idOf(sent), prove: true });
    assert.equal(found.height, done.height);
    assert.deepEqual(Buffer.from(found.tx), Buffer.from(sent));
    assert.equal(found.proof.proof.total > 0, true);
  });
  await one("txSearch", async () => {
    const found = await client.txSearch({ query: `tx.hash='${hex(idOf(sent))}'`, prove: true });
    assert.equal(found.totalCount, 1);
    assert.equal(found.txs[0].height, done.height);
  });
  await one("txSearchAll", async () => {
    const found = await client.txSearchAll({ query: `tx.height=${done.height}`, per_page: 1 });
    assert.equal(found.txs.length, found.totalCount);
    assert.ok(found.txs.some((each) => hex(each.hash) === hex(idOf(sent))));
  });
  await one("blockSearch", async () => {
    const found = await client.blockSearch({ query: `block.height=${done.height}` });
    assert.equal(found.totalCount, 1);
    assert.equal(found.blocks[0].block.header.height, done.height);
  });
  await one("blockSearchAll", async () => {
    const found = await client.blockSearchAll({ query: `block.height<=${done.height}`, per_page: 2 });
    assert.equal(found.blocks.length, done.height);
  });
  await one("block", async () => {
    assert.equal((await client.block(done.height)).block.header.height, done.height);
    assert.ok((await client.block()).block.header.height >= done.height);
  });
  await one("blockResults", async () => {
    const found = await client.blockResults(done.height);
    assert.equal(found.height, done.height);
    assert.ok(found.results.length >= 1);
  });
  await one("blockchain", async () => {
    const found = await client.blockchain(1, done.height);
    assert.equal(found.blockMetas[0].header.height, done.height);
  });
  await one("commit", async () => {
    const found = await client.commit(1);
    assert.equal(found.header.height, 1);
    assert.equal(found.canonical, true);
    assert.ok(found.commit.signatures.length >= 1);
  });
  await one("validators", async () => {
    const found = await client.validators({ height: 1, page: 1, per_page: 1 });
    assert.equal(found.validators.length, 1);
  });
  await one("validatorsAll", async () => {
    const found = await client.validatorsAll(done.height);
    assert.equal(found.validators.length, found.total);
  });
  await one("abciInfo", async () => {
    assert.ok((await client.abciInfo()).lastBlockHeight >= done.height);
  });
  await one("abciQuery", async () => {
    const key = sent.slice(0, sent.indexOf("=".charCodeAt(0)));
    const found = await client.abciQuery({ path: "/store", data: key, prove: false });
    assert.equal(new TextDecoder().decode(found.value), "cosmjs");
  });
  await one("genesis", async () => {
    const found = await client.genesis();
    assert.ok(found.validators.length >= 1);
    assert.ok(found.chainId.length > 0);
  });
  await one("health", async () => {
    assert.equal(await client.health(), null);
  });
  await one("numUnconfirmedTxs", async () => {
    assert.ok((await client.numUnconfirmedTxs()).total >= 0);
  });
  await one("status", async () => {
    const found = await client.status();
    assert.match(found.nodeInfo.version, /^0\.38\./);
    assert.ok(found.validatorInfo.votingPower > 0);
    assert.equal(found.syncInfo.catchingUp, false);
  });
}

function first(stream, wanted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no event in time")), WAIT_MS);
    const listener = {
      next: (event) => {
        if (wanted(event)) {
          clearTimeout(timer);
          // Unsubscribing is answered, too; it must not fail.
          setTimeout(() => stream.removeListener(listener), 0);
          resolve(event);
        }
      },
      error: reject,
      complete: () => reject(new Error("the stream ended")),
    };
    stream.addListener(listener);
  });
}

async function everySubscription(client) {
  const one = (name, body) => check("websocket", name, body);
  await one("subscribeNewBlock", async () => {
    const event = first(client.subscribeNewBlock(), () => true);
    await client.broadcastTxSync({ tx: tx("block") });
    const found = await event;
    assert.ok(found.header.height > 0);
    assert.ok(found.lastCommit !== undefined);
  });
  await one("subscribeNewBlockHeader", async () => {
    const event = first(client.subscribeNewBlockHeader(), () => true);
    await client.broadcastTxSync({ tx: tx("header") });
    assert.ok((await event).height > 0);
  });
  await one("subscribeTx", async () => {
    const sent = tx("event");
    const event = first(client.subscribeTx(), (found) => hex(found.tx) === hex(sent));
    await client.broadcastTxSync({ tx: sent });
    const found = await event;
    assert.deepEqual(Buffer.from(found.hash), idOf(sent));
    assert.equal(found.result.code, 0);
  });
  await one("subscribeTx with a query", async () => {
    const sent = tx("query");
    const event = first(client.subscribeTx(`tx.hash='${hex(idOf(sent))}'`), () => true);
    await client.broadcastTxSync({ tx: tx("other") });
    await client.broadcastTxSync({ tx: sent });
    assert.equal(hex((await event).tx), hex(sent));
  });
}

const chosen = await connectComet(http);
await check("http", "connectComet", () => assert.ok(chosen instanceof Comet38Client));
await everyMethod(chosen, "http");
const connected = await Comet38Client.connect(websocket);
await everyMethod(connected, "websocket");
await everySubscription(connected);
connected.disconnect();
const total = Object.values(calls).reduce((sum, count) => sum + count);
console.log(JSON.stringify({ methods: Object.keys(calls), calls: total, failures }));
// The client's WebSocket keeps its timers.
process.exit(0);
