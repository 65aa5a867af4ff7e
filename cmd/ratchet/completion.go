package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/spf13/cobra"
)

const (
	namesLast = time.Minute     // how long the names count that were read for a completion
	namesWait = 3 * time.Second // the longest that somebody who pressed Tab waits
)

// names are what a command line can be completed with.
type names struct{ Jobs, Devices, Groups []string }

// known are the names at the broker: those of the last minute, or read now. A
// completion says nothing about what goes wrong.
func (s *session) known(ctx context.Context) names {
	var n names
	file := s.namesFile()
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) < namesLast {
		if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &n) == nil {
			return n
		}
	}
	ctx, cancel := context.WithTimeout(ctx, namesWait)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return n
	}
	defer c.Close()
	f, err := fleet.Read(ctx, c, fleet.Devices, fleet.Offers("+"))
	if err != nil {
		return n
	}
	n = names{Jobs: f.JobIDs(), Groups: f.Groups()}
	for _, d := range f.Devices() {
		n.Devices = append(n.Devices, d.ID)
	}
	if text, err := json.Marshal(n); err == nil && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = os.WriteFile(file, text, 0o600) // the next Tab reads the broker again
	}
	return n
}

// namesFile is where the names of this broker are kept.
func (s *session) namesFile() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", []string{s.link.Broker, s.link.Context, s.link.Username, s.link.Root})
	return filepath.Join(dir, "ratchet", fmt.Sprintf("names-%016x.json", h.Sum64()))
}

func (s *session) completeJobs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.known(cmd.Context()).Jobs, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) completeDevices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return s.known(cmd.Context()).Devices, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) completeTo(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	n, all := s.known(cmd.Context()), []string{"all"}
	for _, g := range n.Groups {
		all = append(all, "group/"+g)
	}
	for _, d := range n.Devices {
		all = append(all, "device/"+d)
	}
	if len(all) == 1 {
		return append(all, "device/", "group/"), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}
