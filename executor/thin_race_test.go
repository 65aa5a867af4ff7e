//go:build race

package executor

// thin leaves out last cuts of a sequence, all but every fifth: the race
// detector makes a run ten times as long and finds nothing in the order of cuts.
// Without it all are made.
const thin = 5
