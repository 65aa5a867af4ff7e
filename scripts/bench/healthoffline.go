package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ratchetd/ratchet/store"
)

// Samples are taken every five minutes, and written when the oldest has waited
// for a quarter of an hour: four at a time, every twenty minutes.
const spillsADay, samplesASpill = 72, 4

// offline is a day without a connection: what the journal writes, as a block
// device of its own sees it.
func (b *bench) offline(sample []byte) []string {
	row := func(flash string) []string {
		return []string{"ratchetd, offline", "0", "0", "0", "as above", flash}
	}
	dir := filepath.Join(b.dir, "offline")
	if os.Getuid() != 0 || os.Mkdir(dir, 0o700) != nil {
		return row("not measured: needs root")
	}
	v, err := mountVolume(dir)
	if err != nil {
		return row("not measured: " + err.Error())
	}
	defer v.unmount()
	cost, err := v.perRound(spillsADay, func() (func() error, func() error, error) {
		db, err := store.Open(filepath.Join(v.path, "state"), store.Options{})
		if err != nil {
			return nil, nil, err
		}
		some := bytes.Split(bytes.Repeat(append(sample, '\n'), samplesASpill), []byte("\n"))[:samplesASpill]
		return func() error { _, err := db.SwapSamples(nil, some...); return err }, db.Close, nil
	})
	if err != nil {
		return row("not measured: " + err.Error())
	}
	return row(fmt.Sprintf("%.0f", cost.bytes*spillsADay/1000))
}
