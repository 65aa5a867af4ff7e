package main

import (
	"fmt"
	"slices"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step"
)

// kindNames are all the kinds there are. A device may run fewer: its facts say which.
var kindNames = []string{"certificate", "command", "config", "data", "diagnostic", "download", "file", "firmware",
	"keys", "package", "plugin", "reboot", "service", "settings", "update", "upload"}

// checked are the kinds whose parameters can be judged without a device.
var checked = executor.Kinds{
	"command":    step.Command{},
	"config":     step.Config{},
	"data":       step.Data{},
	"diagnostic": step.Diagnostic{},
	"download":   step.Download{},
	"file":       step.File{},
	"package":    step.Package{},
	"plugin":     step.Plugin{},
	"reboot":     step.Reboot{},
	"service":    step.Service{},
	"upload":     step.Upload{},
}

// checkKinds holds a job with one step against that step's kind.
func checkKinds(j executor.Job) error {
	kind := j.Steps[0].Kind
	if !slices.Contains(kindNames, kind) {
		return fmt.Errorf("steps[0].%s: no such kind or field", kind)
	}
	if checked[kind] == nil {
		return nil
	}
	return checked.Check(j)
}
