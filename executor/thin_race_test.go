//go:build race

package executor

// thin leaves out last cuts, behind all but every fifth of those before: the race
// detector makes a run ten times as long and finds nothing in the order of cuts.
// Without it all are made.
const thin = 5
