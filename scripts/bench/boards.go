package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages says which program is in which packages.
const packages = "scripts/packages/matrix"

// measureBoards prints what each program weighs, alone and in its packages, and
// what it needs of a board.
func (b *bench) measureBoards(ctx context.Context) error {
	text, err := os.ReadFile(packages)
	if err != nil {
		return err
	}
	fmt.Printf("Programs, stripped, and their packages, in MB; memory, RSS / anonymous: idle; the most while %d jobs that waited are done, and after that; "+
		"the most in a start with a journal that knows %d ids, all offered again. (qemu): run by its user mode, only the pages of the program itself are counted\n\n", waiting, b.ids)
	t := table{{"program", "raw", "xz", "deb", "rpm", "ipk", "apk", "installed", "idle", "500 jobs", "after", "full journal"}}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		row, err := b.board(ctx, f[0], f[1:])
		if err != nil {
			return fmt.Errorf("%s: %w", f[0], err)
		}
		t = t.with(row)
	}
	t.print()
	return nil
}

func (b *bench) board(ctx context.Context, arch string, targets []string) ([]string, error) {
	path := filepath.Join(b.dist, "ratchetd-linux-"+arch)
	p, err := b.load(path)
	if err != nil {
		return nil, err
	}
	weight, err := weigh(path)
	if err != nil {
		return nil, err
	}
	packed, err := b.packed(targets)
	if err != nil {
		return nil, err
	}
	f, err := b.footprint(ctx, "board-"+arch, p, nil)
	name := arch
	if p.emulated {
		name += " (qemu)"
	}
	row := append(append([]string{name}, weight...), packed...)
	return append(row, f.idle.String(), f.burst.most.String(), f.burst.after.String(), f.full.most.String()), err
}

// weigh is the size of a program, raw and as it lies in a router's flash.
func weigh(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	small, err := exec.Command("xz", "-9e", "-c", path).Output()
	return []string{mega(info.Size()), mega(int64(len(small)))}, err
}

// packed is the size of a package of each format, and what it takes installed:
// those for other names of the same processor differ in nothing else.
func (b *bench) packed(targets []string) ([]string, error) {
	row := []string{"", "", "", "", ""}
	var installed []string
	for i, format := range []string{"deb", "rpm", "ipk", "apk"} {
		for _, target := range targets {
			arch, ok := strings.CutPrefix(target, format+"/")
			if !ok {
				continue
			}
			p, err := b.open("ratchetd_*_"+arch+"."+format, format)
			if err != nil {
				return nil, err
			}
			row[i] = mega(p.size)
			if n := mega(p.installed); len(installed) == 0 || installed[len(installed)-1] != n {
				installed = append(installed, n)
			}
			break
		}
	}
	row[4] = strings.Join(installed, ", ")
	return row, nil
}

func mega(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e6) }
