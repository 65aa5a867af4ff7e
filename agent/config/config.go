// Package config is what the owner of a device says in ratchet.toml and conf.d,
// checked as a whole: names, link, policy, telemetry, rules and schedules, and how
// the device proves who it is. It reads files and opens no connection.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/ratchetd/ratchet/executor"
)

// Config is what the owner of the device says in ratchet.toml and conf.d. The
// zero value of a list or text means that it was not set.
type Config struct {
	Device    string     `toml:"device"`
	Groups    []string   `toml:"groups,omitempty"`
	State     string     `toml:"state"` // directory of the journal and undo data
	Tags      Values     `toml:"tags,omitempty"`
	Vars      Values     `toml:"vars,omitempty"`
	Link      Link       `toml:"link"`
	AWS       AWS        `toml:"aws"`
	Policy    Policy     `toml:"policy"`
	Telemetry Telemetry  `toml:"telemetry"`
	Facts     Facts      `toml:"facts"`
	Alerts    []Alert    `toml:"alert,omitempty"`
	Schedules []Schedule `toml:"schedule,omitempty"`

	path     string   // of ratchet.toml
	dir      string   // that it lies in, with links followed
	ownKeys  []string // policy.keys as ratchet.toml has them
	sequence int64    // of the key set that a job brought; 0 is none

	ownBroker string // link.broker as ratchet.toml has it
	given     []gift // secrets of the link, in the order of the files that name them

	// What any file of the configuration names, also where a later one names
	// another: a secret stays one.
	passwords   []string // files for link.passwordFile
	secretFiles []string // all files with secrets, those too

	left    []leftOut
	dropped []string // the files of jobs that schedules and alerts name which are left out
}

// Link is how the device reaches its broker.
type Link struct {
	Dialect      string   `toml:"dialect"`
	Broker       string   `toml:"broker"`
	Fallback     []string `toml:"fallback,omitempty"` // tried in turn where the broker does not answer
	Root         string   `toml:"root"`
	Spread       Duration `toml:"spread"`    // longest delay of the first connect
	KeepAlive    Duration `toml:"keepAlive"` // 0: a minute
	CA           string   `toml:"ca,omitempty"`
	Cert         string   `toml:"cert,omitempty"`
	Key          string   `toml:"key,omitempty"`
	Username     string   `toml:"username,omitempty"`
	PasswordFile string   `toml:"passwordFile,omitempty"`
	Hub          string   `toml:"hub,omitempty"`        // azure: its name, if it is not the broker's
	SASKeyFile   string   `toml:"sasKeyFile,omitempty"` // azure: with the device's symmetric key
	TokenLife    Duration `toml:"tokenLife,omitzero"`   // azure; an hour unless it is set
}

// AWS is what the dialect of AWS IoT needs beyond the link.
type AWS struct {
	Handlers string   `toml:"handlers"`          // the folder of job handlers
	Replies  bool     `toml:"replies"`           // subscribe to accepted and rejected, which come in any case
	Defender Duration `toml:"defender,omitzero"` // how often Device Defender gets metrics; 0: never
	Metrics  []string `toml:"metrics"`           // which custom metrics, that the account has declared
}

// Policy is what jobs may do on this device.
type Policy struct {
	Keys     []string `toml:"keys,omitempty"` // minisign public keys
	Allow    []string `toml:"allow"`          // kinds of steps
	Commands []string `toml:"commands,omitempty"`
	Env      []string `toml:"env,omitempty"` // variables that a job may set, where commands is set
	Paths    []string `toml:"paths,omitempty"`
	Read     []string `toml:"read,omitempty"` // trees; where it is not set, paths
	URLs     []string `toml:"urls,omitempty"`
	Users    []string `toml:"users,omitempty"`
	Secrets  []string `toml:"secrets,omitempty"`
	Services []string `toml:"services,omitempty"`
	MaxTime  Duration `toml:"maxTime,omitzero"`
	MaxUndo  Duration `toml:"maxUndo,omitzero"` // of one step's undo; 0 is 10 minutes
	MaxSize  Size     `toml:"maxSize,omitzero"`
	KeepFree Size     `toml:"keepFree,omitzero"` // of a disk that steps write to; 0: 5 %, and at least 4 MB
	Reboot   []string `toml:"reboot"`            // the command that reboots the device
	Plugins  string   `toml:"plugins,omitempty"` // the folder of plugins; empty is step.PluginDir
}

// Telemetry is how often the board is felt, and told about.
type Telemetry struct {
	Every   Duration `toml:"every"`
	Publish Duration `toml:"publish"`
	QoS     int      `toml:"qos"`
	Spill   Duration `toml:"spill"`   // offline: samples are written at most so often; 0: never
	Builtin []string `toml:"builtin"` // alerts that are on: names, or * for all; -name takes one away
}

// Wants reports whether the owner wants that built-in alert.
func (t *Telemetry) Wants(name string) bool {
	return !slices.Contains(t.Builtin, "-"+name) && (slices.Contains(t.Builtin, "*") || slices.Contains(t.Builtin, name))
}

const (
	unset      = Duration(-1) // no text gives that
	spillEvery = Duration(15 * time.Minute)
	smallFlash = 32 << 20 // bytes of a file system that is spared
)

// chooseSpill chooses what depends on the board, where the owner did not; flash is
// the size of the file system that the journal is on, 0 if it is not known.
func (t *Telemetry) chooseSpill(flash int64) {
	if t.Spill != unset {
		return
	}
	t.Spill = spillEvery
	if flash > 0 && flash < smallFlash {
		t.Spill = 0
	}
}

// fileSystemSize is that of the one which path is on, or will be; 0 if it
// cannot be told.
func fileSystemSize(path string) int64 {
	var fs syscall.Statfs_t
	for syscall.Statfs(path, &fs) != nil {
		if path == filepath.Dir(path) {
			return 0
		}
		path = filepath.Dir(path)
	}
	return int64(fs.Blocks) * int64(fs.Bsize)
}

// Facts is what the device tells of itself beyond what it always does.
type Facts struct {
	Packages []string `toml:"packages,omitempty"` // whose versions are told
}

// DefaultPath is where the configuration lies unless somebody says otherwise.
const DefaultPath = "/etc/ratchet/ratchet.toml"

// Default is the configuration of a device that nobody has configured.
func Default() *Config { return DefaultAt(DefaultPath) }

// DefaultAt are those of a configuration that lies at path.
func DefaultAt(path string) *Config {
	dir := real(filepath.Dir(path))
	return &Config{
		State:     defaultState(dir),
		Link:      Link{Dialect: "plain", Root: "ratchet/v1", Spread: Duration(5 * time.Second), KeepAlive: Duration(time.Minute)},
		AWS:       AWS{Handlers: filepath.Join(dir, "handlers"), Replies: true, Metrics: []string{}},
		Policy:    Policy{Allow: []string{"*"}, Reboot: []string{"reboot"}},
		Telemetry: Telemetry{Every: Duration(30 * time.Second), Publish: Duration(5 * time.Minute), QoS: 1, Spill: unset, Builtin: []string{"*"}},
		path:      path,
		dir:       dir,
	}
}

// defaultState keeps the journal on flash on OpenWrt too, where /var is RAM.
func defaultState(dir string) string {
	if _, err := os.Stat("/etc/openwrt_release"); err == nil {
		return filepath.Join(dir, "state")
	}
	return "/var/lib/ratchet"
}

// Effective is the configuration as TOML, with defaults and conf.d. It holds
// no secrets: those are files, of which only the paths are known here.
func (c *Config) Effective() string {
	var text bytes.Buffer
	encoder := toml.NewEncoder(&text)
	encoder.Indent = ""
	if err := encoder.Encode(c); err != nil {
		return err.Error() // cannot be: every field has a form in TOML
	}
	return text.String()
}

// Duration is a time span, in TOML a string such as "90s".
type Duration time.Duration

// UnmarshalTOML reads "1h30m". A number is an error: it does not say of what.
func (d *Duration) UnmarshalTOML(v any) error {
	s, _ := v.(string)
	span, err := time.ParseDuration(s)
	if err != nil || span < 0 {
		return fmt.Errorf(`%v is no duration: want a string such as "90s" or "1h30m"`, v)
	}
	*d = Duration(span)
	return nil
}

// MarshalText writes what UnmarshalTOML reads, without needless zeros.
func (d Duration) MarshalText() ([]byte, error) {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// Size is a number of bytes, in TOML a number or a string such as "64MB".
type Size executor.Size

// UnmarshalTOML reads a number of bytes or a string for executor.ParseSize.
func (z *Size) UnmarshalTOML(v any) error {
	switch v.(type) {
	case string, int64:
	default:
		return fmt.Errorf(`%v is no size: want bytes or a string such as "64MB"`, v)
	}
	size, err := executor.ParseSize(fmt.Sprint(v))
	*z = Size(size)
	return err
}

// Values are named texts, numbers and truths.
type Values map[string]any

// UnmarshalTOML adds a table of scalars to those that are there.
func (v *Values) UnmarshalTOML(table any) error {
	values, ok := table.(map[string]any)
	if !ok {
		return errors.New("want a table of names and values")
	}
	if *v == nil {
		*v = Values{}
	}
	for name, value := range values {
		if !isValue(value) {
			return fmt.Errorf("%s: want a text, a number, true or false", name)
		}
		(*v)[name] = value
	}
	return nil
}

// isValue reports whether JSON can hold the value: TOML's nan and inf it cannot.
func isValue(v any) bool {
	switch v := v.(type) {
	case string, int64, bool:
		return true
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	return false
}
