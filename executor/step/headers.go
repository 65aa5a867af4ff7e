package step

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor"
)

// headers are those that a job adds to a request. A token among them is best
// left to the device to fill in.
type headers map[string]executor.Text

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	ownHeaders = []string{"range", "if-range", "accept-encoding", "host", "connection", "content-length", "transfer-encoding"}
)

func (h headers) check() error {
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

// filled are the headers once the device has filled them in.
func (h headers) filled() map[string]string {
	list := make(map[string]string, len(h))
	for name, value := range h {
		list[name] = value.S
	}
	return list
}
