package jobfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A tree is a copy of a document in which mistakes are put right, so that those
// behind them are found.
type tree struct {
	root    map[string]any
	mended  map[string]bool // by path
	deleted map[string]bool // the parents of what was left out, by path
}

// samples are values that stand in for a wrong one, by the field's name. What has
// none is left out.
var samples = map[string]any{
	"id": "x", "name": "stand-in", "steps": []any{sampleStep("stand-in")}, "url": "https://example.com/x", "path": "/x", "to": "/x",
	"sha256": strings.Repeat("0", 64), "argv": []any{"true"}, "command": map[string]any{"argv": []any{"true"}},
	"version": "1", "action": "start", "content": "", "within": "1m", "duration": "1m", "cron": "0 2 * * *",
	"jq": ".", "paths": []any{"/x"}, "inputs": []any{"/x"}, "tcp": "localhost:80", "checks": []any{map[string]any{"memory": true}},
	"check": map[string]any{"memory": true}, "files": []any{map[string]any{"path": "/x", "content": ""}},
}

// sampleElements stand in for what is wrong in a list, by the list's name.
var sampleElements = map[string]any{"checks": map[string]any{"memory": true}, "files": map[string]any{"path": "/x", "content": ""}, "audience": "all"}

func sampleStep(name string) map[string]any {
	return map[string]any{"name": name, "command": map[string]any{"argv": []any{"true"}}}
}

func readTree(text []byte) (*tree, error) {
	t := &tree{mended: map[string]bool{}, deleted: map[string]bool{}}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&t.root); err != nil {
		return nil, err
	}
	if t.root == nil {
		return nil, fmt.Errorf("a job is an object with id and steps")
	}
	return t, nil
}

func (t *tree) text() []byte {
	text, _ := json.Marshal(t.root) // what was decoded encodes
	return text
}

var pathPart = regexp.MustCompile(`^[A-Za-z0-9_-]+|^\[\d+\]`)

// pathOf is the place that a mistake names, as far as it goes on in the document:
// steps[0].download: url: ... is of steps, 0, download and url.
func (t *tree) pathOf(problem string) []string {
	var path []string
	at := any(t.root)
	for {
		part := pathPart.FindString(problem)
		next, there := child(at, strings.Trim(part, "[]"))
		end := strings.TrimLeft(problem[len(part):], " ")
		if part == "" || !there && !missing(at, part, end) {
			return path
		}
		path = append(path, strings.Trim(part, "[]"))
		if !there {
			return path
		}
		at, problem = next, strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(problem[len(part):], "."), ": "), " ")
	}
}

// missing reports whether a word that names nothing in the object is a field that
// it should have.
func missing(in any, name, after string) bool {
	_, object := in.(map[string]any)
	_, known := samples[name]
	return object && known && strings.HasPrefix(after, ":")
}

func child(of any, name string) (any, bool) {
	switch of := of.(type) {
	case map[string]any:
		v, ok := of[name]
		return v, ok
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(of) {
			return nil, false
		}
		return of[i], true
	}
	return nil, false
}

// mend puts right what a mistake names: the field itself or, where that was done
// before and did not help, what it lies in. It reports whether it could.
func (t *tree) mend(problem string) bool {
	path := t.pathOf(problem)
	for ; len(path) > 0; path = path[:len(path)-1] {
		joined := strings.Join(path, ".")
		if !t.mended[joined] && t.set(path) {
			t.mended[joined] = true
			return true
		}
	}
	return false
}

// set puts a value that is right in the place of the last part of the path.
func (t *tree) set(path []string) bool {
	in := any(t.root)
	for _, part := range path[:len(path)-1] {
		in, _ = child(in, part)
	}
	last := path[len(path)-1]
	switch in := in.(type) {
	case map[string]any:
		sample, ok := samples[last]
		switch {
		case last == "name": // no two steps may have the same
			in[last] = "stand-in-" + strings.Join(path, "-")
		case ok:
			in[last] = sample
		default:
			delete(in, last)
			t.deleted[strings.Join(path[:len(path)-1], ".")] = true
			t.nameKind(in, path)
		}
		return true
	case []any:
		i, _ := strconv.Atoi(last)
		in[i] = t.element(in[i], path)
		return in[i] != nil
	}
	return false
}

// nameKind gives a step that lost its kind another.
func (t *tree) nameKind(step map[string]any, path []string) {
	if len(path) == 3 && (path[0] == "steps" || path[0] == "onFailure") && path[2] != "name" {
		for key := range step {
			if _, plain := plainFields[key]; !plain {
				return
			}
		}
		step["command"] = samples["command"]
	}
}

// plainFields are those of a step that name no kind.
var plainFields = map[string]bool{"name": true, "when": true, "timeout": true, "retry": true, "ifInterrupted": true, "check": true,
	"confirm": true, "continueOnFailure": true, "maxInterruptions": true, "stream": true}

func (t *tree) element(was any, path []string) any {
	list := path[len(path)-2]
	if list != "steps" && list != "onFailure" {
		return sampleElements[list]
	}
	name := "stand-in-" + list + "-" + path[len(path)-1]
	if step, ok := was.(map[string]any); ok {
		if given, ok := step["name"].(string); ok {
			name = given
		}
	}
	return sampleStep(name)
}

// consequence reports whether a mistake is only one since another was put right.
func (t *tree) consequence(problem string) bool {
	path := strings.Join(t.pathOf(problem), ".")
	for m := range t.mended {
		if path == m || strings.HasPrefix(path, m+".") {
			return true
		}
	}
	return path != "" && t.deleted[path]
}
