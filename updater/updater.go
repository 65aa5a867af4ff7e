// Package updater is what exchanges the software of a board: the agent's own
// binary, the firmware, and what vouches for both. It is a library that knows no jobs: when
// something is fetched, saved, tried again or taken back is its caller's
// business, and package step adapts it to steps.
package updater
