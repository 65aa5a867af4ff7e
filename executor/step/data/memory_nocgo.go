//go:build !cgo

package data

const threadStacks = 0
