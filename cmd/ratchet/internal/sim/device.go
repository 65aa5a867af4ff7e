package sim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"github.com/ratchetd/ratchet/agent"
	"github.com/ratchetd/ratchet/agent/config"
)

// A device is one simulated device: an agent while it runs, and what it leaves on
// its disk.
type device struct {
	id    string
	dir   string
	fleet *Fleet
	truth *truth
	slow  bool
	old   bool
	wrong time.Duration // its clock
	stop  func()        // nil while it does not run
}

// settings is a device's configuration. It raises no alert: what is measured is the
// machine that the simulation runs on.
var settings = template.Must(template.New("").Funcs(template.FuncMap{"q": strconv.Quote}).Parse(
	`device = {{q .ID}}
groups = ["sim"]
state = {{q .State}}
tags = {site = {{q .Site}}, ring = {{q .Ring}}}
[link]
broker = {{q .Link.Broker}}
root = {{q .Link.Root}}
spread = {{q .Spread}}
{{- range $key, $value := .Files}}
{{$key}} = {{q $value}}
{{- end}}
[telemetry]
every = "15m"
publish = "15m"
builtin = []
`))

// configure writes the configuration and reads it as an agent does.
func (d *device) configure() (*config.Config, error) {
	p := d.fleet.plan
	files := map[string]string{}
	for key, value := range map[string]string{"username": p.Link.Username, "passwordFile": p.Link.PasswordFile, "ca": p.Link.CA, "cert": p.Link.Cert, "key": p.Link.Key} {
		if value == "" {
			continue
		}
		if key != "username" {
			var err error
			if value, err = filepath.Abs(value); err != nil {
				return nil, err
			}
		}
		files[key] = value
	}
	site, ring := tagsOf(p.Seed, d.id)
	var text bytes.Buffer
	err := settings.Execute(&text, map[string]any{"ID": d.id, "State": filepath.Join(d.dir, "state"), "Site": site, "Ring": ring,
		"Link": p.Link, "Files": files, "Spread": d.fleet.spread().String()})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(d.dir, "ratchet.toml")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return config.Load(file)
}

// start runs the agent until stop.
func (d *device) start() error {
	c, err := d.configure()
	if err != nil {
		return fmt.Errorf("%s: %w", d.id, err)
	}
	a, err := agent.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("%s: %w", d.id, err)
	}
	s := agent.Simulation{Kinds: d.kinds(), Facts: boardOf(d.fleet.plan.Seed, d.id)}
	if d.old {
		s.Agent = "v0.1.0"
	}
	if d.wrong != 0 {
		s.Wall = func() time.Time { return time.Now().Add(d.wrong) }
	}
	a.Simulate(s)
	a.Wrap(func(j agent.Journal) agent.Journal { return journal{j, d.truth} })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, nil) }()
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			d.fleet.trouble(fmt.Errorf("%s: %w", d.id, err))
		}
		d.stop = nil
	}
	return nil
}
