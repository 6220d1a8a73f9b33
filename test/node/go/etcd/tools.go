//go:build tools

// Package tools names the server, so that go.sum holds all that it is built of.
package tools

import _ "go.etcd.io/etcd/server/v3"
