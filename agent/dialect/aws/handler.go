package aws

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// managed does without a script what the handlers of the managed templates
// do; nil means that the arguments are none that it understands.
var managed = map[string]func(args []string, user string) []map[string]any{
	"reboot.sh": func([]string, string) []map[string]any { return []map[string]any{{"reboot": map[string]any{}}} },
	"install-packages.sh": func(args []string, _ string) []map[string]any {
		return packages(map[string]any{"install": words(args), "refresh": true}, args)
	},
	"remove-packages.sh": func(args []string, _ string) []map[string]any {
		return packages(map[string]any{"remove": words(args)}, args)
	},
	"start-services.sh":   services("start"),
	"stop-services.sh":    services("stop"),
	"restart-services.sh": services("restart"),
	"download-file.sh":    download,
}

// words are what the console gives as one argument: names with blanks between.
func words(args []string) []string { return strings.Fields(strings.Join(args, " ")) }

func packages(with map[string]any, args []string) []map[string]any {
	if len(words(args)) == 0 {
		return nil
	}
	return []map[string]any{{"package": with}}
}

func services(action string) func([]string, string) []map[string]any {
	return func(args []string, _ string) []map[string]any {
		var steps []map[string]any
		for _, name := range words(args) {
			steps = append(steps, map[string]any{"service": map[string]any{"name": name, "action": action}})
		}
		return steps
	}
}

// download brings a file of which AWS tells no digest. The path may be a
// folder, where the file keeps its name.
func download(args []string, user string) []map[string]any {
	if len(args) != 2 {
		return nil
	}
	u, err := url.Parse(args[0])
	to := path.Clean(args[1])
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || !path.IsAbs(to) || to == "/" {
		return nil
	}
	if strings.HasSuffix(args[1], "/") {
		to = path.Join(to, path.Base(u.Path))
	}
	with := map[string]any{"url": args[0], "to": to, "unverified": true}
	if user != "" {
		with["owner"] = user
	}
	return []map[string]any{{"download": with}}
}

// handler runs a file: one in the handler folder, in a folder that the step
// names, or on the PATH. It gets the user as its first argument, and changes to
// that user itself. Where there is none, the device does itself what the
// handlers of the managed templates do.
func (d Dialect) handler(a docAction) ([]map[string]any, error) {
	name, dir := a.Input.Handler, a.Input.Path
	if strings.Contains(name, "/") || name == "." || name == ".." || strings.Contains("/"+dir+"/", "/../") {
		return nil, fmt.Errorf("input.handler: %q in %q: want the name of a file, and no .. in its path", name, dir)
	}
	argv := append([]string{name, a.RunAsUser}, a.Input.Args...)
	if d.User != nil && a.RunAsUser != "" && d.User(a.RunAsUser) != nil {
		return []map[string]any{a.run(argv, a.RunAsUser)}, nil // it fails for its user, before it runs
	}
	file, err := d.find(name, dir)
	if err != nil {
		return nil, fmt.Errorf("input.handler: %w", err)
	}
	if do := managed[name]; file == "" && do != nil {
		if steps := do(a.Input.Args, a.RunAsUser); steps != nil {
			return steps, nil
		}
	}
	switch {
	case file != "":
		argv[0] = file
	case dir == "default":
		argv[0] = path.Join(d.Handlers, name)
	case dir != "":
		argv[0] = path.Join(dir, name)
	}
	return []map[string]any{a.runTrusted(argv)}, nil
}

// runTrusted runs a file of the device's owner, if it still is when its turn
// comes.
func (a docAction) runTrusted(argv []string) map[string]any {
	step := a.run(argv, "")
	step["command"].(map[string]any)["trusted"] = true
	return step
}

// find looks for the file of a handler; empty when there is none.
func (d Dialect) find(name, dir string) (string, error) {
	places := []string{dir}
	switch {
	case d.Handler == nil:
		return "", nil
	case dir == "default":
		places = []string{d.Handlers}
	case dir == "" && managed[name] == nil:
		return "", nil // on the PATH, where the step looks itself
	case dir == "":
		places = append([]string{d.Handlers}, searchPath...)
	}
	for _, place := range places {
		file := path.Join(place, name)
		if there, err := d.Handler(file); there || err != nil {
			return file, err
		}
	}
	return "", nil
}

// searchPath is the PATH of a step.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
