package executor

import (
	"encoding/json"
	"strings"
	"testing"
)

// A crate is a document of every shape that documents have.
type crate struct {
	Label string            `json:"label"`
	Count int               `json:"count"`
	Wet   bool              `json:"wet"`
	Since Time              `json:"since"`
	Every Duration          `json:"every"`
	Limit Size              `json:"limit"`
	Parts []part            `json:"parts"`
	Extra map[string]string `json:"extra"`
	Lid   *part             `json:"lid"`
	Raw   json.RawMessage   `json:"raw"`
}

type part struct {
	Name string   `json:"name"`
	Wait Duration `json:"wait"`
}

func TestAMistakeIsReportedWithItsField(t *testing.T) {
	for doc, want := range map[string]string{
		`{"lable": "x"}`:                        "lable: unknown field",
		`{"Label": "x"}`:                        "Label: unknown field",
		`{"label": "x", "label": "y"}`:          "label: given twice",
		`{"parts": [{}, {"nam": 1}]}`:           "parts[1].nam: unknown field",
		`{"parts": [{"name": "", "name": ""}]}`: "parts[0].name: given twice",
		`{"extra": {"a": "", "a": ""}}`:         "extra.a: given twice",
		`{"raw": {"deep": [{"a": 1, "a": 2}]}}`: "raw.deep[0].a: given twice",
		`{"lid": {"nam": 1}}`:                   "lid.nam: unknown field",
		`{"label": 7}`:                          "label: want a string, got number",
		`{"count": "7"}`:                        "count: want a whole number, got string",
		`{"count": 1.5}`:                        "count: want a whole number, got number 1.5",
		`{"count": 1e99}`:                       "count: want a whole number, got number 1e99",
		`{"wet": "yes"}`:                        "wet: want true or false, got string",
		`{"parts": {}}`:                         "parts: want a list, got object",
		`{"parts": [7]}`:                        "parts: want an object, got number",
		`{"lid": []}`:                           "lid: want an object, got array",
		`{"since": "yesterday"}`:                `since: "yesterday" is no time`,
		`{"every": "5 minutes"}`:                `every: "5 minutes" is no duration`,
		`{"every": {"a": [1]}}`:                 `every: {"a": [1]} is no duration`,
		`{"every": null}`:                       "every: ",
		`{"limit": "big"}`:                      `limit: "big" is no size`,
		`{"parts": [{}, {"wait" : 5}]}`:         "parts[1].wait: 5 is no duration",
		`{"lid": {"wait": [ ]}}`:                "lid.wait: [ ] is no duration",
		``:                                      "ends too early",
		`{"label": "x"`:                         "ends too early",
		`{"label": }`:                           "not JSON at byte",
		`{"label": "x"} {}`:                     "more text after",
		`{"label": "x"}]`:                       "more text after",
		"{\"label\": \"\xff\"}":                 "UTF-8",
		`[]`:                                    "want an object, got array",
		`7`:                                     "want an object, got number",
		strings.Repeat(`[`, 100000):             "nested too deeply",
		strings.Repeat(`{"raw":`, 10000) + `1`:  "nested too deeply",
		`{"raw":` + strings.Repeat(`[`, 100000): "nested too deeply",
	} {
		err := Decode([]byte(doc), &crate{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got error %v, want %s", doc, err, want)
		}
	}
}

func TestAWholeDocumentIsRead(t *testing.T) {
	doc := `{"label":"x","count":3,"wet":true,"since":"2026-11-23T09:00:00Z","every":"1m0s","limit":64000000,` +
		`"parts":[{"name":"a","wait":"5s"},{"name":"b","wait":"0s"}],"extra":{"k":"v"},"lid":{"name":"c","wait":"1h0m0s"},"raw":{"any":[1,{"thing":null}]}}`
	var c crate
	if err := Decode([]byte(" "+doc+"\n"), &c); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(c); err != nil || string(got) != doc {
		t.Errorf("got %s, %v, want %s", got, err, doc)
	}
}
