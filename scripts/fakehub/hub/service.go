package hub

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Service is the part of the hub's REST interface that fleets of jobs need,
// with the service's own paths and bodies, but without its authorization; and
// below /fake/ what no hub has: a way to do it harm.
func (h *Hub) Service() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /devices/{id}", h.putDevice)
	mux.HandleFunc("GET /twins/{id}", h.getTwin)
	mux.HandleFunc("PATCH /twins/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{}, h.Update(r.PathValue("id"), body(r)))
	})
	mux.HandleFunc("POST /twins/{id}/methods", h.postMethod)
	mux.HandleFunc("POST /devices/query", h.postQuery)
	mux.HandleFunc("PUT /jobs/v2/{id}", h.putJob)
	mux.HandleFunc("GET /jobs/v2/{id}", func(w http.ResponseWriter, r *http.Request) {
		j, ok := h.Job(r.PathValue("id"))
		if !ok {
			reply(w, nil, errors.New("404: no such job"))
			return
		}
		reply(w, j, nil)
	})
	mux.HandleFunc("PUT /configurations/{id}", h.putConfiguration)
	mux.HandleFunc("DELETE /configurations/{id}", func(w http.ResponseWriter, r *http.Request) {
		h.Unconfigure(r.PathValue("id"))
		reply(w, nil, nil)
	})
	h.harms(mux)
	return mux
}

// harms are what tests do to a hub.
func (h *Hub) harms(mux *http.ServeMux) {
	mux.HandleFunc("POST /fake/drop/{id}", func(w http.ResponseWriter, r *http.Request) {
		h.Drop(r.PathValue("id"), "dropped by hand")
		reply(w, nil, nil)
	})
	mux.HandleFunc("POST /fake/harm", func(w http.ResponseWriter, r *http.Request) {
		var c Chaos
		err := json.Unmarshal(body(r), &c)
		if err == nil {
			h.SetFate(c.Fate())
		}
		reply(w, nil, err)
	})
	mux.HandleFunc("GET /fake/drops", func(w http.ResponseWriter, _ *http.Request) { reply(w, h.Drops(), nil) })
	mux.HandleFunc("GET /fake/messages/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, h.Messages(r.PathValue("id")), nil)
	})
}

func (h *Hub) putDevice(w http.ResponseWriter, r *http.Request) {
	var d struct {
		Authentication struct {
			SymmetricKey struct{ PrimaryKey string }
		}
	}
	err := json.Unmarshal(body(r), &d)
	var key []byte
	if text := d.Authentication.SymmetricKey.PrimaryKey; err == nil && text != "" {
		key, err = base64.StdEncoding.DecodeString(text)
	}
	if err == nil {
		h.AddDevice(r.PathValue("id"), key)
	}
	reply(w, map[string]any{"deviceId": r.PathValue("id")}, err)
}

func (h *Hub) getTwin(w http.ResponseWriter, r *http.Request) {
	for _, d := range h.matching(nil) {
		if d["deviceId"] == r.PathValue("id") {
			reply(w, d, nil)
			return
		}
	}
	reply(w, nil, errors.New("404: there is no such device"))
}

func (h *Hub) postMethod(w http.ResponseWriter, r *http.Request) {
	var m Method
	if err := json.Unmarshal(body(r), &m); err != nil {
		reply(w, nil, err)
		return
	}
	status, answer, err := h.Invoke(r.PathValue("id"), m.Name, m.Payload, time.Duration(m.Timeout)*time.Second)
	reply(w, map[string]any{"status": status, "payload": answer}, err)
}

func (h *Hub) postQuery(w http.ResponseWriter, r *http.Request) {
	var q struct{ Query string }
	err := json.Unmarshal(body(r), &q)
	var list []map[string]any
	if err == nil {
		list, err = h.Query(q.Query)
	}
	reply(w, list, err)
}

func (h *Hub) putJob(w http.ResponseWriter, r *http.Request) {
	var j Job
	err := json.Unmarshal(body(r), &j)
	if j.ID = r.PathValue("id"); err == nil {
		err = h.Schedule(j)
	}
	reply(w, j, err)
}

func (h *Hub) putConfiguration(w http.ResponseWriter, r *http.Request) {
	var c Configuration
	err := json.Unmarshal(body(r), &c)
	if c.ID = r.PathValue("id"); err == nil {
		err = h.Configure(c)
	}
	reply(w, c, err)
}

func body(r *http.Request) []byte {
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // what is missing is no JSON
	return text
}

// reply answers with v, or with the status that the error begins with.
func reply(w http.ResponseWriter, v any, err error) {
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // a caller that is gone misses nothing
		return
	}
	number, _, _ := strings.Cut(err.Error(), ":")
	status, isStatus := strconv.Atoi(number)
	if isStatus != nil {
		status = http.StatusBadRequest
	}
	http.Error(w, err.Error(), status)
}
