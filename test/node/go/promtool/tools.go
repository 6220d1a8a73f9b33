//go:build tools

// Package tools names the program, so that go.sum holds all that it is built of.
package tools

import _ "github.com/prometheus/prometheus/cmd/promtool"
