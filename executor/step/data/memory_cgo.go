//go:build cgo

package data

// threadStacks is what the C library reserves for the stacks of threads that
// the runtime will start. None of it is touched, but the kernel counts it.
const threadStacks = 80 << 20
