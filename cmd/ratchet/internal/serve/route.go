package serve

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"

	"github.com/ratchetd/ratchet/cmd/ratchet/internal/serve/guard"
	"github.com/ratchetd/ratchet/executor/fence"
	"github.com/ratchetd/ratchet/executor/jq"
)

// A route is one thing that the API does. The OpenAPI document is made of them.
type route struct {
	method, path, about string
	role                guard.Role
	params              []param
	body                any // an example of what is sent; nil is nothing
	item                any // an example of what is answered, or of one item of a list
	list                bool
	answer              func(*Server, *http.Request) (any, error)
}

// A param is one that stands in the query.
type param struct{ name, about string }

var (
	whereDevice = param{"where", "jq over {device, state, since, stale, facts, health, alerts, jobs}, or shortcuts such as site=berlin state=online"}
	whereItem   = param{"where", "jq over an item"}
	paging      = []param{{"limit", "how many items, 1 to 500 (50)"}, {"cursor", "next of the page before"}}
)

// A problem is an error that the one who asks can do something about.
type problem struct {
	code int
	text string
}

func (p problem) Error() string { return p.text }

func bad(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// A list is one page of items.
type list struct {
	Items any    `json:"items"`
	Next  string `json:"next,omitempty"`     // the cursor of the page behind; none behind the last one
	Note  string `json:"complete,omitempty"` // whether these are all that there are
}

const (
	defaultLimit = 50
	mostItems    = 500
)

// handle answers by the route.
func (s *Server) handle(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if guard.Who(r.Context()).Role < rt.role {
			sendJSON(w, http.StatusForbidden, map[string]string{"error": "this token may only look: ask for one with the role operator"})
			return
		}
		var v any
		err := fence.Call(func() (err error) {
			if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
				return bad("the query: %v", err)
			}
			v, err = rt.answer(s, r)
			return err
		})
		var p problem
		var large *http.MaxBytesError
		switch {
		case err == nil:
			sendJSON(w, http.StatusOK, v)
		case errors.As(err, &p):
			sendJSON(w, p.code, map[string]string{"error": p.text})
		case errors.As(err, &large):
			sendJSON(w, http.StatusRequestEntityTooLarge, map[string]string{"error": fmt.Sprintf("more than %d bytes", large.Limit)})
		case r.Context().Err() != nil:
		default:
			s.Log.Error("answering", "path", r.URL.Path, "err", err)
			sendJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		}
	}
}

func limitOf(r *http.Request) (int, error) {
	text := r.FormValue("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostItems {
		return 0, bad("limit %q: want 1 to %d", text, mostItems)
	}
	return n, nil
}

// cursorOf is the key of the last item before the page.
func cursorOf(r *http.Request) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(r.FormValue("cursor"))
	if err != nil {
		return "", bad("cursor: want what next said")
	}
	return string(key), nil
}

func cursorFor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// paged gives those items behind the cursor that pick takes. The keys of the items
// rise.
func paged[T any](r *http.Request, items []T, key func(T) string, pick func(T) (bool, error)) (list, error) {
	limit, err := limitOf(r)
	if err != nil {
		return list{}, err
	}
	after, err := cursorOf(r)
	if err != nil {
		return list{}, err
	}
	taken := []T{}
	begin := 0
	if after != "" {
		begin = sort.Search(len(items), func(i int) bool { return key(items[i]) > after })
	}
	for _, item := range items[begin:] {
		if err := r.Context().Err(); err != nil {
			return list{}, err
		}
		yes, err := pick(item)
		if err != nil {
			return list{}, err
		}
		if !yes {
			continue
		}
		if len(taken) == limit {
			return list{Items: taken, Next: cursorFor(key(taken[limit-1]))}, nil
		}
		taken = append(taken, item)
	}
	return list{Items: taken}, nil
}

// itemPicker picks items for which the jq of the request is true.
func itemPicker[T any](r *http.Request) (func(T) (bool, error), error) {
	text := r.FormValue("where")
	if text == "" {
		return func(T) (bool, error) { return true, nil }, nil
	}
	e, err := jq.Compile(text)
	if err != nil {
		return nil, bad("where: %v", err)
	}
	return func(item T) (bool, error) {
		raw, err := json.Marshal(item)
		if err != nil {
			return false, err
		}
		input, err := jq.Input(json.RawMessage(raw))
		if err != nil {
			return false, nil
		}
		yes, err := e.Bool(r.Context(), input)
		return yes && err == nil, nil
	}, nil
}
