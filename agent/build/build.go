// Package build says which agent this is and when it was built.
package build

import (
	"runtime/debug"
	"strconv"
	"time"
)

// version and built are stamped by the Makefile; a plain go build leaves them
// to the build information.
var version, built string

// Version is this agent's version.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// Time is when this agent was built, or zero.
func Time() time.Time {
	if sec, err := strconv.ParseInt(built, 10, 64); err == nil {
		return time.Unix(sec, 0)
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
