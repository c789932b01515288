// The reference's walk-through: dial a node without TLS, print the latest height, broadcast a
// transaction, and read blocks until one holds it. The classes come from the reference's two
// proto files alone. Usage: interop TARGET TRANSACTION; prints one JSON object.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "catenet.test/interop/blockchain"
)

type report struct {
	Success bool     `json:"success"`
	Heights []uint64 `json:"heights"`
	Hashes  []string `json:"hashes"`
	Found   uint64   `json:"found"`
	Latest  latest   `json:"latest"`
}

type latest struct {
	Height uint64 `json:"height"`
	Hash   string `json:"hash"`
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: interop TARGET TRANSACTION")
	}
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatalf("did not connect: %v", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	var seen report
	node := pb.NewNodeClient(conn)
	tx := []byte(os.Args[2])
	ack, err := node.BroadcastTransaction(ctx, &pb.Transaction{Data: tx})
	if err != nil {
		log.Fatalf("could not broadcast: %v", err)
	}
	seen.Success = ack.Success
	if err := sync(ctx, conn, tx, &seen); err != nil {
		log.Fatalf("could not sync: %v", err)
	}
	block, err := node.GetLatestBlock(ctx, &pb.BlockRequest{})
	if err != nil {
		log.Fatalf("could not get the latest block: %v", err)
	}
	fmt.Fprintf(os.Stderr, "Latest block height: %d\n", block.Height)
	seen.Latest = latest{Height: block.Height, Hash: hex.EncodeToString(block.Hash)}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		log.Fatal(err)
	}
}

// sync reads blocks from height 1 until one of them holds tx.
func sync(ctx context.Context, conn *grpc.ClientConn, tx []byte, seen *report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := pb.NewBlockSyncServiceClient(conn).SyncBlocks(ctx, &pb.SyncRequest{StartHeight: 1})
	if err != nil {
		return err
	}
	for seen.Found == 0 {
		block, err := stream.Recv()
		if err != nil {
			return err
		}
		seen.Heights = append(seen.Heights, block.Height)
		seen.Hashes = append(seen.Hashes, hex.EncodeToString(block.Hash))
		for _, one := range block.Transactions {
			if string(one) == string(tx) {
				seen.Found = block.Height
			}
		}
	}
	return nil
}
