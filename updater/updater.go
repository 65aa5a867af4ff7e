// Package updater replaces the software of a board: the agent's own binary and the
// firmware, both only when their signatures verify. It knows no jobs: when something
// is fetched, saved, tried again or taken back is its caller's business, and package
// step adapts it to steps. Each way to write firmware is a type of its own (rauc,
// swupdate, mender, sysupgrade, script), which Board finds and hands out as a Backend.
package updater
