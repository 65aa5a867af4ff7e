//go:build !race

package steptest

// thin is how many cut points make one that is cut.
const thin = 1
