package steptest

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// Unpack reads a bundle whole: its texts by name.
func Unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := texts[h.Name]; twice || h.Typeflag != tar.TypeReg {
			t.Errorf("%s is in the bundle twice, or is no regular file", h.Name)
		}
		texts[h.Name] = string(text)
	}
}
