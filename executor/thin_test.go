//go:build !race

package executor

// thin is how many of the last cuts of a sequence make one that is tried.
const thin = 1
