//go:build race

package steptest

// thin leaves out cut points, all but every fifth: the race detector makes a
// run ten times as long and finds nothing in where a cut lies. Without it all
// are cut.
const thin = 5
