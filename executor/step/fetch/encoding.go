package fetch

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/executor/redact"
)

// plainEncodings are what servers say of a body that is as it was stored: S3 keeps
// aws-chunked of how a file was uploaded, and a character set stands there by mistake.
var plainEncodings = []string{"", "identity", "aws-chunked", "none", "binary", "8bit", "utf-8", "utf8", "us-ascii", "iso-8859-1"}

// encodingOf is how a server has packed the body of an answer, which nobody asks it
// for; empty: it has not.
func encodingOf(resp *http.Response) string {
	var packed []string
	for _, e := range strings.Split(strings.Join(resp.Header.Values("Content-Encoding"), ","), ",") {
		if e = strings.ToLower(strings.TrimSpace(e)); e == "x-gzip" {
			e = "gzip"
		}
		if !slices.Contains(plainEncodings, e) {
			packed = append(packed, e)
		}
	}
	return strings.Join(packed, ", ")
}

// AsPacked adds to err, of a content that is not what it should be, that the server
// has packed it.
func AsPacked(err error, resp *http.Response) error {
	return asPacked(err, encodingOf(resp))
}

func asPacked(err error, encoding string) error {
	if err == nil || encoding == "" {
		return err
	}
	return fmt.Errorf("%w (the server packed it unasked, Content-Encoding: %s: let it serve the file as it is)", err, encoding)
}

// unpacked refuses an answer that is packed, where no digest will tell. The packed
// form is what is meant where the file's own name says so, as of a.tar.gz.
func unpacked(resp *http.Response) error {
	encoding := encodingOf(resp)
	ends := map[string]string{".gz": "gzip", ".tgz": "gzip", ".br": "br", ".zst": "zstd"}
	if encoding == "" || ends[path.Ext(resp.Request.URL.Path)] == encoding {
		return nil
	}
	return asPacked(fmt.Errorf("GET %s: it would not be the file", redact.URL(resp.Request.URL.String())), encoding)
}

// short reads a body of at most most bytes, also one that came as gzip.
func short(resp *http.Response, most int64) ([]byte, error) {
	var body io.Reader = resp.Body
	switch encoding := encodingOf(resp); encoding {
	case "":
	case "gzip":
		unpack, err := gzip.NewReader(io.LimitReader(body, most+1<<10))
		if err != nil {
			return nil, fmt.Errorf("the server says that it is gzip, and it is not: %w", err)
		}
		body = unpack
	default:
		return nil, Finally(asPacked(fmt.Errorf("GET %s: it cannot be read", redact.URL(resp.Request.URL.String())), encoding))
	}
	text, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	return text, err
}
