//go:build !race

package executor

// thin is behind which of the cuts before it a last cut is tried: all.
const thin = 1
