//go:build tools

// A stand-in for jaegertracing/all-in-one where images cannot be pulled: its published module. The module has no
// pages, so this one answers questions alone.
package traces

import _ "github.com/jaegertracing/jaeger/cmd/all-in-one"
