package fetch

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// Headers are those that a job adds to a request. A token among them is best
// left to the device to fill in.
type Headers map[string]executor.Text

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	ownHeaders = []string{"range", "if-range", "accept-encoding", "host", "connection", "content-length", "transfer-encoding"}
)

// Check says why a header cannot be sent, or nil.
func (h Headers) Check() error {
	for name, value := range h {
		switch {
		case !headerName.MatchString(name) || strings.ContainsAny(value.S, "\r\n\x00"):
			return fmt.Errorf("headers: %q: no HTTP header", name)
		case slices.Contains(ownHeaders, strings.ToLower(name)):
			return fmt.Errorf("headers: %q: the agent sets this one itself", name)
		}
	}
	return nil
}

// Filled are the headers once the device has filled them in.
func (h Headers) Filled() map[string]string {
	list := make(map[string]string, len(h))
	for name, value := range h {
		list[name] = value.S
	}
	return list
}
