// Package guard decides which requests the server answers. Loopback is no
// boundary: every page in a browser can send requests there, and with a name that
// it points there it would even read the answers. It knows nothing of devices.
package guard

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxBody is how many bytes of a request are read.
	MaxBody = 256 << 10
	// wrongTries is how many wrong tokens one minute may bring.
	wrongTries = 20
	maxToken   = 256
	cookieAge  = 30 * 24 * 3600 // seconds
)

// policy lets a page run what this server sends, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// A Guard stands before a handler.
type Guard struct {
	Tokens *Tokens
	Names  []string // by which it may be asked for, beside those of loopback
	Port   string
	Secure bool // it is asked for over TLS
	// Open reports whether anybody may have a path.
	Open func(path string) bool

	mu    sync.Mutex
	wrong int
	since time.Time
}

type whoKey struct{}

// Who is who sent a request that the guard let through.
func Who(ctx context.Context) Person {
	p, _ := ctx.Value(whoKey{}).(Person)
	return p
}

// Before is the handler that the guard stands before.
func (g *Guard) Before(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", g.login)
	mux.HandleFunc("POST /logout", g.logout)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		who := g.ask(r)
		if who.Role == Nobody && !g.Open(r.URL.Path) {
			http.Error(w, "a token is missing or wrong: open the address that 'ratchet serve' printed, or send Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who)))
	})
	inside := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.headers(w.Header())
		if !g.named(r.Host) {
			http.Error(w, "this server has another name: --name says by which it may be asked for", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		inside.ServeHTTP(w, r)
	})
}

func (g *Guard) headers(h http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		h.Set(name, value)
	}
	if g.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// named reports whether a request names this server. A page of another one that
// points its name here does not.
func (g *Guard) named(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), ""
	}
	if slices.Contains(g.Names, name) {
		return true
	}
	return port == g.Port && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, name)
}

// cookie is the name of the server's: cookies ignore ports.
func (g *Guard) cookie() string { return "ratchet-" + g.Port }

// ask is who sends the request.
func (g *Guard) ask(r *http.Request) Person {
	token, sent := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if c, err := r.Cookie(g.cookie()); err == nil && !sent {
		token, sent = c.Value, true
	}
	if !sent {
		return Person{}
	}
	who, _ := g.try(token)
	return who
}

// try is whose a token is. It says no where too many were wrong.
func (g *Guard) try(token string) (who Person, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.since) > time.Minute {
		g.wrong, g.since = 0, now
	}
	who = g.Tokens.Who(token)
	if who.Role != Nobody {
		return who, true
	}
	g.wrong++
	return who, g.wrong <= wrongTries
}

// login takes the token that the page found in its fragment, which no request and
// no log has ever held, and gives a cookie that no script reads.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	token, err := io.ReadAll(io.LimitReader(r.Body, maxToken))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	who, ok := g.try(string(token))
	switch {
	case who.Role != Nobody:
		g.set(w, string(token), cookieAge)
		w.WriteHeader(http.StatusNoContent)
	case !ok:
		http.Error(w, "too many wrong tokens: wait a minute", http.StatusTooManyRequests)
	default:
		http.Error(w, "this token is wrong: open the address that 'ratchet serve' printed", http.StatusUnauthorized)
	}
}

func (g *Guard) logout(w http.ResponseWriter, _ *http.Request) {
	g.set(w, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func (g *Guard) set(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: g.cookie(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: g.Secure, SameSite: http.SameSiteStrictMode})
}
