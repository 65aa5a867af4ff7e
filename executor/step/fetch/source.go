package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/ratchetd/ratchet/executor"
)

var sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// CheckSource says why nothing can be fetched from this address with this digest,
// or nil.
func CheckSource(address executor.Word, sum string) error {
	switch {
	case !address.Open && !IsURL(address.S):
		return errors.New("url: want an address that begins with http:// or https:// and names a host")
	case !sha256Pattern.MatchString(sum):
		return fmt.Errorf("sha256: %q: want 64 lower-case hex digits", sum)
	}
	return nil
}

// IsURL reports whether text is an address of the web, with a host.
func IsURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
