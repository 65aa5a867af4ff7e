package serve

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/watch"
	"github.com/ratchetd/ratchet/executor/fence"
)

//go:embed templates/*.html
var templates embed.FS

// A page is one that people look at. Its sections follow the stream; what stands
// around them stays as it was loaded.
type page struct {
	path, name string // of path the last part may be {id}; a name stands in the navigation
	template   string
	sections   []string
	plots      bool
	data       func(*Server, *http.Request) (title string, data any, err error)
}

var pages = []page{
	{"/", "Fleet", "fleet", []string{"counts", "going", "devices"}, false, (*Server).fleetPage},
	{"/jobs", "Jobs", "joblist", []string{"joblines"}, false, (*Server).jobsPage},
	{"/rollouts", "Rollouts", "rollouts", []string{"rolloutlist"}, false, (*Server).rolloutsPage},
	{"/alerts", "Alerts", "alerts", []string{"alertlist"}, false, (*Server).alertsPage},
	{"/actions", "Actions", "actions", []string{"actionlist"}, false, (*Server).actionsPage},
	{"/submit", "", "submit", nil, false, func(*Server, *http.Request) (string, any, error) { return "Submit a job", nil, nil }},
	{"/devices/{id}", "", "device", []string{"now", "jobs", "facts"}, true, (*Server).devicePage},
	{"/jobs/{id}", "", "job", []string{"job_now", "job_devices"}, false, (*Server).jobPage},
}

// find is the page at a path, with the id that the path names, if it does.
func find(path string) (p page, id string, ok bool) {
	for _, p := range pages {
		if p.path == path {
			return p, "", true
		}
		if before, with := strings.CutSuffix(p.path, "{id}"); with {
			if rest, inside := strings.CutPrefix(path, before); inside && rest != "" && !strings.Contains(rest, "/") {
				return p, rest, true
			}
		}
	}
	return page{}, "", false
}

// A shown is what templates see.
type shown struct {
	Title    string
	Nav      []tab
	Plots    bool
	May      bool // the reader may act
	Status   watch.Status
	Sections map[string]template.HTML
	Body     template.HTML
	Data     any
}

type tab struct {
	Name, Path string
	Here       bool
}

// look reads what a page shows. The request is for the page, though it may have
// come for the stream.
func (s *Server) look(r *http.Request) (p page, v shown, err error) {
	p, id, ok := find(r.URL.Path)
	if !ok {
		return p, v, problem{http.StatusNotFound, "there is no page " + r.URL.Path}
	}
	r.SetPathValue("device", id)
	r.SetPathValue("job", id)
	v = shown{Plots: p.plots, May: guard.Who(r.Context()).Role >= guard.Operator, Status: s.Watcher.Status(), Sections: map[string]template.HTML{}}
	for _, other := range pages {
		if other.name != "" {
			v.Nav = append(v.Nav, tab{other.name, other.path, other.path == p.path})
		}
	}
	v.Title, v.Data, err = p.data(s, r)
	return p, v, err
}

// fill makes the sections, and the status that every page has.
func (s *Server) fill(p page, v shown) error {
	for _, name := range append([]string{"status"}, p.sections...) {
		text, err := s.execute(name, v)
		if err != nil {
			return err
		}
		v.Sections[name] = template.HTML(`<section id="` + name + `" class="live">` + text + `</section>`)
	}
	return nil
}

func (s *Server) execute(name string, v shown) (string, error) {
	var text bytes.Buffer
	if err := s.templates.ExecuteTemplate(&text, name, v); err != nil {
		return "", fmt.Errorf("showing %s: %w", name, err)
	}
	return text.String(), nil
}

// show answers with a page; with one that only logs in where nobody is known.
func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "a page is only read", http.StatusMethodNotAllowed)
		return
	}
	if guard.Who(r.Context()).Role == guard.Nobody {
		s.send(w, http.StatusUnauthorized, shown{Title: "Log in"})
		return
	}
	var v shown
	err := fence.Call(func() error {
		p, seen, err := s.look(r)
		if err == nil {
			err = s.fill(p, seen)
		}
		if v = seen; err != nil {
			return err
		}
		body, err := s.execute(p.template, v)
		v.Body = template.HTML(body)
		return err
	})
	if err == nil {
		s.send(w, http.StatusOK, v)
		return
	}
	code := http.StatusInternalServerError
	if p, ok := errors.AsType[problem](err); ok {
		code = p.code
	} else {
		s.Log.Error("showing a page", "path", r.URL.Path, "err", err)
	}
	v.Title, v.Body = "This cannot be shown", template.HTML("<p>"+template.HTMLEscapeString(err.Error())+"</p>")
	v.Sections = map[string]template.HTML{"status": ""}
	s.send(w, code, v)
}

func (s *Server) send(w http.ResponseWriter, code int, v shown) {
	text, err := s.execute("layout", v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // who is gone needs no answer
}
