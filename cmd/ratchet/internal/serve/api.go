package serve

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/fleet"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/rollout"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/memory"
)

const apiRoot = "/api/v1"

// routes are all that the API does, but for its own description.
var routes = []route{
	{"GET", "/devices", "The devices, by id", guard.Viewer, append([]param{whereDevice}, paging...), nil, DeviceLine{}, true, (*Server).listDevices},
	{"GET", "/devices/{device}", "All that is known of one device now", guard.Viewer, nil, nil, DeviceReport{}, false, (*Server).oneDevice},
	{"GET", "/devices/{device}/jobs/{job}", "Each state and step that a job went through there, the oldest first", guard.Viewer, nil, nil, memory.Passage{}, true, (*Server).passages},
	{"GET", "/jobs", "The jobs, the newest first", guard.Viewer, append([]param{whereItem}, paging...), nil, fleet.JobLine{}, true, (*Server).listJobs},
	{"POST", "/jobs", "Offer a job", guard.Operator, nil, Order{}, Receipt{}, false, (*Server).submit},
	{"POST", "/explain", "Say what a job would do, and what a power cut would mean", guard.Viewer, nil, Order{}, Explained{}, false, (*Server).explain},
	{"GET", "/jobs/{job}", "How one job stands over the fleet", guard.Viewer, nil, nil, JobReport{}, false, (*Server).oneJob},
	{"POST", "/jobs/{job}/cancel", "End a job wherever it is offered, or at to", guard.Operator, nil, Order{}, Receipt{}, false, (*Server).cancel},
	{"GET", "/rollouts", "The rollouts, by job", guard.Viewer, append([]param{whereItem}, paging...), nil, rollout.Document{}, true, (*Server).listRollouts},
	{"POST", "/rollouts/{job}/{change}", "Pause, resume, next or abort a rollout", guard.Operator, nil, Order{}, Receipt{}, false, (*Server).changeRollout},
	{"GET", "/alerts", "Alerts that were raised, the newest first; those without cleared still are", guard.Viewer,
		append([]param{whereItem, {"device", "only of this device"}}, paging...), nil, memory.Alert{}, true, (*Server).listAlerts},
	{"GET", "/health", "What a device felt", guard.Viewer, []param{{"device", "whose"}, {"span", "how long back from now: 1h"}}, nil, HealthReport{}, false, (*Server).oneHealth},
	{"GET", "/actions", "Who did what by way of this server, the newest first", guard.Viewer, append([]param{whereItem}, paging...), nil, memory.Action{}, true, (*Server).listActions},
}

func (s *Server) api(mux *http.ServeMux) {
	for _, rt := range routes {
		mux.HandleFunc(rt.method+" "+apiRoot+rt.path, s.handle(rt))
	}
	mux.HandleFunc("GET "+apiRoot+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, http.StatusOK, openAPI()) })
	mux.HandleFunc(apiRoot+"/", func(w http.ResponseWriter, r *http.Request) {
		sendJSON(w, http.StatusNotFound, map[string]string{"error": "there is no " + r.Method + " " + r.URL.Path + ": " + apiRoot + "/openapi.json says what there is"})
	})
}

// An object is one of JSON.
type object = map[string]any

// openAPI describes the API for programs.
func openAPI() object {
	paths := object{}
	for _, rt := range routes {
		at, _ := paths[apiRoot+rt.path].(object)
		if at == nil {
			at = object{}
			paths[apiRoot+rt.path] = at
		}
		at[strings.ToLower(rt.method)] = rt.describe()
	}
	return object{"openapi": "3.1.0", "info": object{"title": "ratchet serve", "version": "v1"}, "paths": paths,
		"components": object{"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}}}, "security": []object{{"token": []string{}}}}
}

func (rt route) describe() object {
	params := []object{}
	for _, part := range strings.Split(rt.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			params = append(params, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, p := range rt.params {
		params = append(params, object{"name": p.name, "in": "query", "description": p.about, "schema": object{"type": "string"}})
	}
	answer := schema(reflect.TypeOf(rt.item), 0)
	if rt.list {
		answer = object{"type": "object", "properties": object{"items": object{"type": "array", "items": answer}, "next": object{"type": "string"}, "complete": object{"type": "string"}}}
	}
	d := object{"summary": rt.about, "parameters": params, "responses": object{
		"200":     object{"description": "done", "content": object{"application/json": object{"schema": answer}}},
		"default": object{"description": "an error", "content": object{"application/json": object{"schema": object{"type": "object", "properties": object{"error": object{"type": "string"}}}}}},
	}}
	if rt.body != nil {
		d["requestBody"] = object{"content": object{"application/json": object{"schema": schema(reflect.TypeOf(rt.body), 0)}}}
	}
	return d
}

// maxNested is how deep types are described.
const maxNested = 6

// schema describes a type as it is written in JSON.
func schema(t reflect.Type, depth int) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case depth > maxNested || t.Name() == "RawMessage":
		return object{}
	case t.Name() == "Time":
		return object{"type": "string", "format": "date-time"}
	case t.Name() == "Duration" || t.Kind() == reflect.String:
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem(), depth+1)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), depth+1)}
	case reflect.Struct:
		return object{"type": "object", "properties": members(t, depth)}
	}
	return object{}
}

func members(t reflect.Type, depth int) object {
	all := object{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			for n, s := range members(f.Type, depth) {
				all[n] = s
			}
		case f.IsExported() && name != "-" && name != "":
			all[name] = schema(f.Type, depth+1)
		}
	}
	return all
}
