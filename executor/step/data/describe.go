package data

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	return executor.Description{
		Does: does(s.With),
		Cut:  "it begins again; nothing half is left",
		Undo: "its output is removed",
	}
}

func does(with json.RawMessage) string {
	var w dataWith
	_ = json.Unmarshal(with, &w) // what is wrong is said elsewhere
	files := strings.Join(executor.ReadParams(with).List("inputs"), ", ")
	switch {
	case w.Aggregate == nil:
		return fmt.Sprintf("puts %s through jq", files)
	case w.JQ == "":
		return fmt.Sprintf("makes of %s %s", files, w.Aggregate)
	}
	return fmt.Sprintf("puts %s through jq, and makes of what comes out %s", files, w.Aggregate)
}
