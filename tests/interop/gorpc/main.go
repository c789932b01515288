// Every method of CometBFT's own client (rpc/client/http) against a node, and every event it can subscribe to.
//
//	gorpc http://127.0.0.1:26657
//
// Prints one JSON object: which methods were called, and what failed. What the client cannot decode is a failure
// of its own; on top of that blocks, commits and proofs are checked with the library's functions.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cometbft/cometbft/rpc/client"
	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	coretypes "github.com/cometbft/cometbft/rpc/core/types"
	"github.com/cometbft/cometbft/types"
)

const wait = 20 * time.Second

type run struct {
	node     *rpchttp.HTTP
	ctx      context.Context
	Methods  []string `json:"methods"`
	Failures []string `json:"failures"`
}

func (r *run) check(name string, body func() error) {
	r.Methods = append(r.Methods, name)
	defer func() {
		if fault := recover(); fault != nil {
			r.Failures = append(r.Failures, fmt.Sprintf("%s: panic: %v", name, fault))
		}
	}()
	if err := body(); err != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("%s: %v", name, err))
	}
}

func require(holds bool, format string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, values...)
}

func freshTx(name string) types.Tx {
	salt := make([]byte, 6)
	if _, err := rand.Read(salt); err != nil {
		panic(err)
	}
	return types.Tx(name + hex.EncodeToString(salt) + "=go")
}

func (r *run) transactions() (types.Tx, int64) {
	sent := freshTx("commit")
	var height int64
	r.check("broadcast_tx_commit", func() error {
		done, err := r.node.BroadcastTxCommit(r.ctx, sent)
		if err != nil {
			return err
		}
		height = done.Height
		return require(done.CheckTx.Code == 0 && done.TxResult.Code == 0 && height > 0, "%+v", done)
	})
	r.check("broadcast_tx_sync", func() error {
		tx := freshTx("sync")
		done, err := r.node.BroadcastTxSync(r.ctx, tx)
		if err != nil {
			return err
		}
		if err := require(done.Code == 0 && string(done.Hash) == string(tx.Hash()), "%+v", done); err != nil {
			return err
		}
		refused, err := r.node.BroadcastTxSync(r.ctx, types.Tx("refused"))
		if err != nil {
			return err
		}
		return require(refused.Code != 0, "%+v", refused)
	})
	r.check("broadcast_tx_async", func() error {
		_, err := r.node.BroadcastTxAsync(r.ctx, freshTx("async"))
		return err
	})
	r.check("check_tx", func() error {
		done, err := r.node.CheckTx(r.ctx, freshTx("check"))
		if err != nil {
			return err
		}
		return require(done.Code == 0, "%+v", done)
	})
	r.check("unconfirmed_txs", func() error {
		limit := 5
		_, err := r.node.UnconfirmedTxs(r.ctx, &limit)
		return err
	})
	r.check("num_unconfirmed_txs", func() error {
		_, err := r.node.NumUnconfirmedTxs(r.ctx)
		return err
	})
	r.check("tx", func() error {
		found, err := r.node.Tx(r.ctx, sent.Hash(), true)
		if err != nil {
			return err
		}
		block, err := r.node.Block(r.ctx, &found.Height)
		if err != nil {
			return err
		}
		return found.Proof.Validate(block.Block.DataHash)
	})
	r.check("tx_search", func() error {
		page, perPage := 1, 10
		query := fmt.Sprintf("tx.hash='%X'", sent.Hash())
		found, err := r.node.TxSearch(r.ctx, query, true, &page, &perPage, "asc")
		if err != nil {
			return err
		}
		return require(found.TotalCount == 1 && found.Txs[0].Height == height, "%+v", found)
	})
	return sent, height
}

func (r *run) chain(height int64) {
	var signed *coretypes.ResultCommit
	r.check("commit", func() error {
		var err error
		if _, err = r.node.Commit(r.ctx, nil); err != nil {
			return err
		}
		if signed, err = r.node.Commit(r.ctx, &height); err != nil {
			return err
		}
		return signed.SignedHeader.ValidateBasic(signed.ChainID)
	})
	r.check("validators", func() error {
		page, perPage := 1, 100
		found, err := r.node.Validators(r.ctx, &height, &page, &perPage)
		if err != nil {
			return err
		}
		set, err := types.ValidatorSetFromExistingValidators(found.Validators)
		if err != nil {
			return err
		}
		next := height + 1
		if _, err := r.node.Validators(r.ctx, &next, nil, nil); err != nil {
			return err
		}
		return set.VerifyCommit(signed.ChainID, signed.Commit.BlockID, height, signed.Commit)
	})
	r.check("block", func() error {
		found, err := r.node.Block(r.ctx, &height)
		if err != nil {
			return err
		}
		if err := found.Block.ValidateBasic(); err != nil {
			return err
		}
		parts, err := found.Block.MakePartSet(types.BlockPartSizeBytes)
		if err != nil {
			return err
		}
		id := types.BlockID{Hash: found.Block.Hash(), PartSetHeader: parts.Header()}
		return require(id.Equals(found.BlockID), "%v is not %v", id, found.BlockID)
	})
	r.check("block_by_hash", func() error {
		found, err := r.node.BlockByHash(r.ctx, signed.Commit.BlockID.Hash)
		if err != nil {
			return err
		}
		return require(found.Block.Height == height, "%+v", found)
	})
	r.check("header", func() error {
		found, err := r.node.Header(r.ctx, &height)
		if err != nil {
			return err
		}
		return require(found.Header.Hash().String() == signed.Commit.BlockID.Hash.String(), "%+v", found)
	})
	r.check("header_by_hash", func() error {
		found, err := r.node.HeaderByHash(r.ctx, signed.Commit.BlockID.Hash)
		if err != nil {
			return err
		}
		return require(found.Header.Height == height, "%+v", found)
	})
	r.check("block_results", func() error {
		found, err := r.node.BlockResults(r.ctx, &height)
		if err != nil {
			return err
		}
		return require(len(found.TxsResults) >= 1 && len(found.AppHash) > 0, "%+v", found)
	})
	r.check("block_search", func() error {
		page, perPage := 1, 10
		query := fmt.Sprintf("block.height=%d", height)
		found, err := r.node.BlockSearch(r.ctx, query, &page, &perPage, "desc")
		if err != nil {
			return err
		}
		return require(found.TotalCount == 1 && found.Blocks[0].Block.Height == height, "%+v", found)
	})
	r.check("blockchain", func() error {
		found, err := r.node.BlockchainInfo(r.ctx, 1, height)
		if err != nil {
			return err
		}
		return require(found.BlockMetas[0].Header.Height == height, "%+v", found)
	})
	r.check("consensus_params", func() error {
		found, err := r.node.ConsensusParams(r.ctx, &height)
		if err != nil {
			return err
		}
		return found.ConsensusParams.ValidateBasic()
	})
}

func (r *run) about(sent types.Tx) {
	r.check("health", func() error { _, err := r.node.Health(r.ctx); return err })
	r.check("status", func() error {
		found, err := r.node.Status(r.ctx)
		if err != nil {
			return err
		}
		return require(found.ValidatorInfo.VotingPower > 0 && found.TxIndexEnabled(), "%+v", found)
	})
	r.check("net_info", func() error {
		found, err := r.node.NetInfo(r.ctx)
		if err != nil {
			return err
		}
		return require(found.NPeers == len(found.Peers), "%+v", found)
	})
	r.check("genesis", func() error {
		found, err := r.node.Genesis(r.ctx)
		if err != nil {
			return err
		}
		return found.Genesis.ValidateAndComplete()
	})
	r.check("genesis_chunked", func() error {
		found, err := r.node.GenesisChunked(r.ctx, 0)
		if err != nil {
			return err
		}
		return require(found.TotalChunks == 1, "%+v", found)
	})
	r.check("abci_info", func() error {
		found, err := r.node.ABCIInfo(r.ctx)
		if err != nil {
			return err
		}
		return require(found.Response.LastBlockHeight > 0, "%+v", found)
	})
	r.check("abci_query", func() error {
		key, _, _ := strings.Cut(string(sent), "=")
		found, err := r.node.ABCIQueryWithOptions(r.ctx, "/store", []byte(key), client.ABCIQueryOptions{Prove: true})
		if err != nil {
			return err
		}
		return require(string(found.Response.Value) == "go", "%+v", found)
	})
	r.check("broadcast_evidence", func() error {
		_, err := r.node.BroadcastEvidence(r.ctx, &types.DuplicateVoteEvidence{
			VoteA: &types.Vote{}, VoteB: &types.Vote{}, Timestamp: time.Now(),
		})
		// Nothing is proven by it; that it is refused with the reason is the answer.
		return require(err != nil && strings.Contains(err.Error(), "evidence"), "%v", err)
	})
	r.check("batch", func() error {
		batch := r.node.NewBatch()
		for range 3 {
			if _, err := batch.Health(r.ctx); err != nil {
				return err
			}
		}
		answers, err := batch.Send(r.ctx)
		if err != nil {
			return err
		}
		return require(len(answers) == 3, "%d answers", len(answers))
	})
}

func (r *run) events() {
	kinds := map[string]string{
		"NewBlock": "", "NewBlockHeader": "", "NewBlockEvents": "", "Tx": "", "Vote": "", "NewRound": "", "NewRoundStep": "",
	}
	if err := r.node.Start(); err != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("websocket: %v", err))
		return
	}
	for kind := range kinds {
		r.check("subscribe "+kind, func() error {
			query := fmt.Sprintf("tm.event='%s'", kind)
			ctx, cancel := context.WithTimeout(r.ctx, wait)
			defer cancel()
			heard, err := r.node.Subscribe(ctx, "test", query, 100)
			if err != nil {
				return err
			}
			if _, err := r.node.BroadcastTxSync(ctx, freshTx("event")); err != nil {
				return err
			}
			select {
			case event := <-heard:
				if err := require(event.Query == query && event.Data != nil, "%+v", event); err != nil {
					return err
				}
			case <-ctx.Done():
				return fmt.Errorf("no event in time")
			}
			return r.node.Unsubscribe(ctx, "test", query)
		})
	}
	r.check("unsubscribe_all", func() error {
		if _, err := r.node.Subscribe(r.ctx, "test", "tm.event='Tx'"); err != nil {
			return err
		}
		return r.node.UnsubscribeAll(r.ctx, "test")
	})
	if err := r.node.Stop(); err != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("websocket: %v", err))
	}
}

func main() {
	node, err := rpchttp.New(os.Args[1], "/websocket")
	if err != nil {
		panic(err)
	}
	r := &run{node: node, ctx: context.Background(), Failures: []string{}}
	sent, height := r.transactions()
	// The commit of a height is canonical once the next block holds it.
	if _, err := node.BroadcastTxCommit(r.ctx, freshTx("next")); err != nil {
		r.Failures = append(r.Failures, err.Error())
	}
	r.chain(height)
	r.about(sent)
	r.events()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		panic(err)
	}
}
