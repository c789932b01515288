// Judges histories in catenet's format (src/catenet/testing/linearizability.py, to_line) with Porcupine.
//
// Each argument is a file of JSON Lines. For each file one JSON object goes to stdout:
// {"file", "verdict": "linearizable" | "violated" | "undecided", "operations", "unknown", "seconds"}.
// The exit code is 0 when all files were judged, 2 when one cannot be read.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	timeout  = 120 * time.Second
	lineSize = 1 << 20
)

// A line of the file; a nil value means that the register has none.
type operation struct {
	Client   int     `json:"client"`
	Key      string  `json:"key"`
	Op       string  `json:"op"`
	Call     int64   `json:"call"`
	Return   *int64  `json:"return"`
	Value    *string `json:"value"`
	Expected *string `json:"expected"`
	Found    *string `json:"found"`
}

// What a register holds.
type register struct {
	set  bool
	text string
}

func held(value *string) register {
	if value == nil {
		return register{}
	}
	return register{set: true, text: *value}
}

type verdict struct {
	File       string  `json:"file"`
	Verdict    string  `json:"verdict"`
	Operations int     `json:"operations"`
	Unknown    int     `json:"unknown"`
	Seconds    float64 `json:"seconds"`
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := []string{}
		parts := map[string][]porcupine.Operation{}
		for _, one := range history {
			key := one.Input.(operation).Key
			if _, known := parts[key]; !known {
				keys = append(keys, key)
			}
			parts[key] = append(parts[key], one)
		}
		ordered := make([][]porcupine.Operation, 0, len(keys))
		for _, key := range keys {
			ordered = append(ordered, parts[key])
		}
		return ordered
	},
	Init: func() interface{} { return register{} },
	Step: func(state, input, output interface{}) (bool, interface{}) {
		now, asked := state.(register), input.(operation)
		answered := asked.Return != nil
		switch asked.Op {
		case "read":
			return !answered || held(asked.Found) == now, now
		case "write":
			return true, held(asked.Value)
		case "swap":
			return !answered || held(asked.Found) == now, held(asked.Value)
		default:
			if answered && held(asked.Found) != now {
				return false, now
			}
			if held(asked.Expected) == now {
				return true, held(asked.Value)
			}
			return true, now
		}
	},
}

func load(path string) (history []porcupine.Operation, unknown int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, lineSize), lineSize)
	for number := 1; lines.Scan(); number++ {
		var one operation
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, 0, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		switch one.Op {
		case "read", "write", "swap", "cas":
		default:
			return nil, 0, fmt.Errorf("%s:%d: unknown operation %q", path, number, one.Op)
		}
		// Without a return it may take effect at any time after its call, or after everything: never.
		returned := int64(math.MaxInt64)
		if one.Return != nil {
			returned = *one.Return
		} else {
			unknown++
		}
		history = append(history, porcupine.Operation{
			ClientId: one.Client, Input: one, Call: one.Call, Output: nil, Return: returned,
		})
	}
	return history, unknown, lines.Err()
}

func judge(path string) (verdict, error) {
	history, unknown, err := load(path)
	if err != nil {
		return verdict{}, err
	}
	began := time.Now()
	found := map[porcupine.CheckResult]string{
		porcupine.Ok:      "linearizable",
		porcupine.Illegal: "violated",
		porcupine.Unknown: "undecided",
	}[porcupine.CheckOperationsTimeout(model, history, timeout)]
	return verdict{
		File: path, Verdict: found, Operations: len(history), Unknown: unknown,
		Seconds: time.Since(began).Seconds(),
	}, nil
}

func run(paths []string) error {
	if len(paths) == 0 {
		return errors.New("name at least one history file")
	}
	out := json.NewEncoder(os.Stdout)
	for _, path := range paths {
		found, err := judge(path)
		if err != nil {
			return err
		}
		if err := out.Encode(found); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
}
