package serve

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets
var embedded embed.FS

// An asset is a file of the page. Its name holds a part of its digest, so a
// browser may keep it for ever.
type asset struct {
	kind         string
	text, zipped []byte
}

// assets are the files by the path that they are asked for at, and those paths by
// the files' names.
type assets struct {
	byPath map[string]asset
	paths  map[string]string
}

const assetRoot = "/assets/"

// readAssets reads what is embedded.
func readAssets() (assets, error) {
	a := assets{map[string]asset{}, map[string]string{}}
	err := fs.WalkDir(embedded, "assets", func(file string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(file, "assets/")
		extension := path.Ext(name)
		if err != nil || d.IsDir() || extension != ".js" && extension != ".css" {
			return err
		}
		text, err := embedded.ReadFile(file)
		if err != nil {
			return err
		}
		var zipped bytes.Buffer
		z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
		if err != nil {
			return err
		}
		_, _ = z.Write(text) // into memory
		_ = z.Close()
		digest := sha256.Sum256(text)
		at := assetRoot + strings.TrimSuffix(path.Base(name), extension) + "." + hex.EncodeToString(digest[:6]) + extension
		a.paths[name] = at
		a.byPath[at] = asset{mime.TypeByExtension(extension), text, zipped.Bytes()}
		return nil
	})
	return a, err
}

// ServeHTTP answers with an asset.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.byPath[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	text := file.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = file.zipped
	}
	_, _ = w.Write(text) // who is gone needs no answer
}
