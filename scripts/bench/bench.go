package main

import "time"

// A bench is what all measurements share.
type bench struct {
	daemon program
	filler program       // the one that fills a journal
	ids    int           // that a full journal knows
	idle   time.Duration // how long an idle daemon is watched
	dir    string
	broker *broker

	settings string // that memory compares
	dist     string // where programs and packages for boards lie
}
