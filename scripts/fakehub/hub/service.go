package hub

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Service is the part of the hub's REST interface that fleets of jobs need,
// with the service's own paths and bodies [rest], but without its authorization;
// and below /fake/ what no hub has: a way to do it harm.
func (h *Hub) Service() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]handler{
		"/":                    func(r *http.Request) (any, error) { return nil, refuse(404, "NotFound", "%s %s", r.Method, r.URL.Path) },
		"GET /devices":         func(*http.Request) (any, error) { return h.Devices(), nil },
		"GET /devices/{$}":     func(*http.Request) (any, error) { return h.Devices(), nil }, // as [node] asks
		"GET /devices/{id}":    func(r *http.Request) (any, error) { return h.Device(r.PathValue("id")) },
		"PUT /devices/{id}":    h.putDevice,
		"DELETE /devices/{id}": func(r *http.Request) (any, error) { return nil, h.Unregister(r.PathValue("id"), match(r)) },
		"POST /devices/{id}/applyConfigurationContent": h.applyContent,
		"GET /twins/{id}":             func(r *http.Request) (any, error) { return h.twinOf(r.PathValue("id")) },
		"PATCH /twins/{id}":           h.patchTwin,
		"POST /twins/{id}/methods":    h.postMethod,
		"PUT /jobs/v2/{id}":           h.putJob,
		"GET /jobs/v2/{id}":           func(r *http.Request) (any, error) { return h.Job(r.PathValue("id")) },
		"POST /jobs/v2/{id}/cancel":   func(r *http.Request) (any, error) { return h.CancelJob(r.PathValue("id")) },
		"GET /configurations":         func(*http.Request) (any, error) { return h.Configurations() },
		"GET /configurations/{id}":    func(r *http.Request) (any, error) { return h.Configuration(r.PathValue("id")) },
		"PUT /configurations/{id}":    h.putConfiguration,
		"DELETE /configurations/{id}": h.deleteConfiguration,
	} {
		mux.Handle(pattern, versioned(handle))
	}
	mux.Handle("POST /devices/query", versioned(paged(func(r *http.Request) ([]any, error) {
		var q struct{ Query string }
		if err := decode(body(r), &q); err != nil {
			return nil, err
		}
		list, err := h.Query(q.Query)
		return anys(list), err
	})))
	mux.Handle("GET /jobs/v2/query", versioned(paged(func(r *http.Request) ([]any, error) {
		return anys(h.Jobs(r.FormValue("jobType"), r.FormValue("jobStatus"))), nil
	})))
	h.harms(mux)
	return mux
}

// A handler answers a request with a value, nil for none, or with what is wrong.
type handler func(*http.Request) (any, error)

func (f handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := f(r)
	reply(w, v, err)
}

// versioned lets requests through that name an api-version.
func versioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := r.URL.Query().Get("api-version"); !slices.Contains(apiVersions, v) {
			write(w, refuse(400, "InvalidProtocolVersion", "api-version %q", v))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// paged answers with as much of a list as the caller wants at once, and says
// in a header where the rest begins.
func paged(list func(*http.Request) ([]any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := list(r)
		from, _ := strconv.Atoi(r.Header.Get("x-ms-continuation"))
		size, _ := strconv.Atoi(r.Header.Get("x-ms-max-item-count"))
		if from = min(max(from, 0), len(all)); size <= 0 {
			size = len(all)
		}
		to := min(from+size, len(all))
		if to < len(all) {
			w.Header().Set("x-ms-continuation", strconv.Itoa(to))
		}
		reply(w, all[from:to], err)
	})
}

func anys[T any](list []T) []any {
	all := make([]any, 0, len(list))
	for _, v := range list {
		all = append(all, v)
	}
	return all
}

// harms are what tests do to a hub, and what they look at.
func (h *Hub) harms(mux *http.ServeMux) {
	for pattern, handle := range map[string]handler{
		"POST /fake/drop/{id}": func(r *http.Request) (any, error) {
			h.Drop(r.PathValue("id"), "dropped by hand")
			return nil, nil
		},
		"POST /fake/harm": func(r *http.Request) (any, error) {
			var c Chaos
			err := decode(body(r), &c)
			if err == nil {
				h.SetFate(c.Fate())
			}
			return nil, err
		},
		"GET /fake/drops":         func(*http.Request) (any, error) { return h.Drops(), nil },
		"GET /fake/messages/{id}": func(r *http.Request) (any, error) { return h.Messages(r.PathValue("id")), nil },
		"POST /fake/messages/{id}": func(r *http.Request) (any, error) { // services do that by AMQP [c2d]
			return nil, h.Send(r.PathValue("id"), r.URL.RawQuery, body(r))
		},
	} {
		mux.Handle(pattern, handle)
	}
}

// deviceForm is what a hub takes for a device's id [registry].
var deviceForm = regexp.MustCompile(`^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$`)

func (h *Hub) putDevice(r *http.Request) (any, error) {
	var d Device
	if err := decode(body(r), &d); err != nil {
		return nil, err
	}
	if d.ID != "" && d.ID != r.PathValue("id") {
		return nil, refuse(400, "ArgumentInvalid", "deviceId %q", d.ID)
	}
	d.ID = r.PathValue("id")
	if err := h.Register(d, match(r)); err != nil {
		return nil, err
	}
	return h.Device(d.ID)
}

func (h *Hub) applyContent(r *http.Request) (any, error) {
	var c Content
	if err := decode(body(r), &c); err != nil {
		return nil, err
	}
	return nil, h.Apply(r.PathValue("id"), c)
}

func (h *Hub) twinOf(id string) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.devices[id]
	if d == nil {
		return nil, noDevice(id)
	}
	return d.document(h.Client(id) != nil), nil
}

func (h *Hub) patchTwin(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := h.Update(id, match(r), body(r)); err != nil {
		return nil, err
	}
	return h.twinOf(id)
}

func (h *Hub) postMethod(r *http.Request) (any, error) {
	var m Method
	if err := decode(body(r), &m); err != nil {
		return nil, err
	}
	status, answer, err := h.Call(r.PathValue("id"), m)
	return map[string]any{"status": status, "payload": answer}, err
}

func (h *Hub) putJob(r *http.Request) (any, error) {
	var j Job
	if err := decode(body(r), &j); err != nil {
		return nil, err
	}
	j.ID = r.PathValue("id")
	if err := h.Schedule(j); err != nil {
		return nil, err
	}
	return h.Job(j.ID)
}

// putConfiguration makes a configuration, or changes one whose etag the caller
// names, as with devices.
func (h *Hub) putConfiguration(r *http.Request) (any, error) {
	var c Configuration
	if err := decode(body(r), &c); err != nil {
		return nil, err
	}
	c.ID = r.PathValue("id")
	old, missing := h.Configuration(c.ID)
	switch m := match(r); {
	case missing == nil && m == "":
		return nil, refuse(409, "ConfigurationAlreadyExists", "there is a configuration %q", c.ID)
	case missing != nil && m != "":
		return nil, missing
	case missing == nil:
		if err := matches(m, old.ETag); err != nil {
			return nil, err
		}
	}
	if err := h.Configure(c); err != nil {
		return nil, err
	}
	return h.Configuration(c.ID)
}

func (h *Hub) deleteConfiguration(r *http.Request) (any, error) {
	c, err := h.Configuration(r.PathValue("id"))
	if err == nil {
		err = matches(match(r), c.ETag)
	}
	if err == nil {
		h.Unconfigure(c.ID)
	}
	return nil, err
}

func match(r *http.Request) string { return strings.TrimSpace(r.Header.Get("If-Match")) }

func body(r *http.Request) []byte {
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20)) // what is missing is no JSON
	return text
}

// reply answers with v, with nothing where there is none, or with what is wrong.
func reply(w http.ResponseWriter, v any, err error) {
	switch {
	case err != nil:
		write(w, err)
	case v == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(v) // a caller that is gone misses nothing
	}
}
