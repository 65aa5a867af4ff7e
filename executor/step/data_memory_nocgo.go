//go:build !cgo

package step

const threadStacks = 0
