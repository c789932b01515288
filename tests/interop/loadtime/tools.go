//go:build tools

// Names the load tool of CometBFT, so that go.sum covers what it needs.
package tools

import _ "github.com/cometbft/cometbft/test/loadtime/cmd/load"
