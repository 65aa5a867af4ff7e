package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/ratchetd/ratchet/executor/step/safefile"
)

// least is the shortest configuration that works.
const least = "device = \"gw-1\"\n[link]\nbroker = \"tcp://broker:1883\"\n"

// etc is a configuration directory with these files in it.
func etc(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadFrom(t testing.TB, files map[string]string) (*Config, error) {
	c, err := LoadDraft(filepath.Join(etc(t, files), "ratchet.toml"), Draft{}, noMAC)
	if err == nil {
		err = errors.Join(c.LeftOut(), c.Link.Usable())
	}
	return c, err
}

func noMAC() (string, error) { return "", errors.New("no network card") }

// The file operations of the steps follow no links.
func TestAStateDirectoryBehindALinkIsUsedByItsRealPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, dir+".link"); err != nil {
		t.Fatal(err)
	}
	c, err := loadFrom(t, map[string]string{"ratchet.toml": fmt.Sprintf("state = %q\n%s", dir+".link/state", least)})
	if err != nil || c.State != dir+"/state" {
		t.Errorf("got %+v and %v, want state %s/state", c, err, dir)
	}
}

func TestTheShortestConfigurationHasTheDocumentedDefaults(t *testing.T) {
	got, err := loadFrom(t, map[string]string{"ratchet.toml": least})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Device:    "gw-1",
		State:     "/var/lib/ratchet",
		Link:      Link{Dialect: "plain", Broker: "tcp://broker:1883", Root: "ratchet/v1", Spread: Duration(5 * time.Second), KeepAlive: Duration(time.Minute)},
		AWS:       AWS{Handlers: filepath.Join(got.dir, "handlers"), Replies: true, Metrics: []string{}},
		Policy:    Policy{Allow: []string{"*"}, Reboot: []string{"reboot"}},
		Telemetry: Telemetry{Every: Duration(30 * time.Second), Publish: Duration(5 * time.Minute), QoS: 1, Spill: Duration(15 * time.Minute), Builtin: []string{"*"}},
		path:      got.path,
		dir:       got.dir,
		ownBroker: "tcp://broker:1883",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLaterFilesGoOverEarlierOnes(t *testing.T) {
	c, err := loadFrom(t, map[string]string{
		"ratchet.toml":       "groups = [\"a\", \"b\"]\ntags = {site = \"berlin\", floor = 1}\nvars = {lan = \"10.0.0.1\"}\n" + least,
		"conf.d/20-b.toml":   "[tags]\nfloor = 3\n[link]\nroot = \"later\"\n",
		"conf.d/10-a.toml":   "groups = [\"c\"]\n[tags]\nfloor = 2\nspare = true\n[vars]\nshare = 0.5\n[link]\nroot = \"early\"\nspread = \"1m30s\"\n",
		"conf.d/ignored.txt": "not TOML",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Values{"site": "berlin", "floor": int64(3), "spare": true}); !reflect.DeepEqual(c.Tags, want) {
		t.Errorf("got tags %v, want %v", c.Tags, want)
	}
	if want := (Values{"lan": "10.0.0.1", "share": 0.5}); !reflect.DeepEqual(c.Vars, want) {
		t.Errorf("got vars %v, want %v", c.Vars, want)
	}
	if want := []string{"c"}; !reflect.DeepEqual(c.Groups, want) {
		t.Errorf("got groups %v, want %v", c.Groups, want)
	}
	if c.Link.Root != "later" || c.Link.Broker != "tcp://broker:1883" || c.Link.Spread != Duration(90*time.Second) {
		t.Errorf("got link %+v, want root later, the broker of ratchet.toml and spread 1m30s", c.Link)
	}
}

func TestAMistakeIsToldWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "devise = \"x\"\n", "ratchet.toml:1: devise: unknown key"},
		{"unknown key in a section", "[link]\n\nbrokr = \"x\"\n", "ratchet.toml:3: link.brokr: unknown key"},
		{"key in another case", "[Link]\nbroker = \"x\"\n", "ratchet.toml:1: Link: unknown key"},
		{"unknown section", "[[alarm]]\nname = \"hot\"\n", "ratchet.toml:1: alarm: unknown key"},
		{"wrong type", "[link]\nbroker = 7\n", "ratchet.toml:2: link.broker: want string, got integer"},
		{"wrong type in a list", "groups = [\"a\", 7]\n", "ratchet.toml:1: groups: want string, got integer"},
		{"no list", "groups = \"a\"\n", "ratchet.toml:1: groups: want list, got string"},
		{"unknown key of the facts", "[facts]\npackage = [\"a\"]\n", "ratchet.toml:2: facts.package: unknown key"},
		{"no section", "link = \"a\"\n", "ratchet.toml:1: link: want a section"},
		{"sections in a list", "[[link]]\nbroker = \"x\"\n", "ratchet.toml:1: link: want a section"},
		{"a span without unit", "[telemetry]\nevery = 30\n", "ratchet.toml:2: telemetry.every: 30 is no duration"},
		{"a negative span", "[link]\nspread = \"-5s\"\n", "ratchet.toml:2: link.spread: -5s is no duration"},
		{"no size", "[policy]\nmaxSize = \"64 bananas\"\n", "ratchet.toml:2: policy.maxSize: \"64 bananas\" is no size"},
		{"a size in part", "[policy]\nmaxSize = 1.5\n", "ratchet.toml:2: policy.maxSize: 1.5 is no size"},
		{"a list as a tag", "[tags]\nsite = [1]\n", "ratchet.toml:1: tags: site: want a text, a number, true or false"},
		{"no number as a tag", "[tags]\nsite = nan\n", "ratchet.toml:1: tags: site: want a text, a number, true or false"},
		{"a number without an end as a variable", "[vars]\nlimit = -inf\n", "ratchet.toml:1: vars: limit: want a text, a number, true or false"},
		{"tags as a list", "tags = [1]\n", "ratchet.toml:1: tags: want a table"},
		{"no TOML", "\nstate = /a\n", "ratchet.toml:2: state: "},
		{"a key twice", "state = \"/a\"\nstate = \"/b\"\n", "ratchet.toml:2: state: "},
	} {
		_, err := loadFrom(t, map[string]string{"ratchet.toml": c.text})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := loadFrom(t, map[string]string{
		"ratchet.toml":  "devise = 1\n[link]\nbroker = 7\nroot = 8\n",
		"conf.d/a.toml": "nothing = 1\n[policy]\nallow = []\n",
	})
	for _, want := range []string{"devise", "link.broker", "link.root", "a.toml:1: nothing", "a.toml:2: policy: it may stand in ratchet.toml only"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}

func TestAValueThatCannotWorkIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"device = \"a/b\"":        "device: ",
		"device = \"..\"":         "device: ",
		"groups = [\"a#\"]":       "groups: ",
		"groups = [\"a\", \"a\"]": "twice",
		"groups = [" + strings.Repeat("\"a\", ", 33) + "]": "at most 32",
		"state = \"\"":                                                 "state: ",
		"[link]\nroot = \"a/#\"":                                       "link.root: ",
		"[link]\nroot = \"/a\"":                                        "link.root: ",
		"[link]\ndialect = \"other\"":                                  "link.dialect: ",
		"[link]\nbroker = \"\"":                                        "link.broker: ",
		"[link]\nbroker = \"amqp://b:1883\"":                           "tcp, tls, ws or wss",
		"[link]\nbroker = \"tls://b\"":                                 "want a port",
		"[link]\nbroker = \"broker:1883\"":                             "link.broker: ",
		"[link]\nbroker = \"tls://u:secret@b:1\"":                      "link.username",
		"[link]\nbroker = \"u:secret@b:1\"":                            "link.broker: ",
		"[link]\ncert = \"here.pem\"":                                  "want both or none",
		"[link]\nca = \"nowhere.pem\"":                                 "link.ca: ",
		"[link]\nca = \".\"":                                           "is no file",
		"[link]\npasswordFile = \"here.pem\"":                          "link.username: ",
		"[telemetry]\nevery = \"10ms\"":                                "telemetry.every: ",
		"[telemetry]\npublish = \"10s\"":                               "telemetry.publish: ",
		"[telemetry]\nqos = 2":                                         "telemetry.qos: ",
		"[facts]\npackages = [\"a b\"]":                                "facts.packages: ",
		"[facts]\npackages = [\"-y\"]":                                 "facts.packages: ",
		"[facts]\npackages = [" + strings.Repeat("\"a\", ", 101) + "]": "at most 100",
		"[policy]\nreboot = []":                                        "policy.reboot: ",
		"[policy]\nkeys = [\"nonsense\"]":                              "policy.keys: ",
		"[policy]\npaths = [\"etc\"]":                                  "policy.paths: ",
		"[policy]\ncommands = [\"/a[\"]":                               "policy.commands: ",
	} {
		_, err := loadFrom(t, map[string]string{"ratchet.toml": least, "here.pem": "", "conf.d/x.toml": text})
		if strings.HasPrefix(text, "[policy]") {
			_, err = loadFrom(t, map[string]string{"ratchet.toml": least + text})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the password: %v", text, err)
		}
	}
}

func TestASecretThatOthersCanReadIsRefused(t *testing.T) {
	dir := etc(t, map[string]string{"ratchet.toml": least + "username = \"u\"\npasswordFile = \"password\"\n", "password": "x\n"})
	file := filepath.Join(dir, "ratchet.toml")
	if _, err := LoadDraft(file, Draft{}, noMAC); err != nil {
		t.Fatalf("got %v for a file with mode 0600, want none", err)
	}
	if err := os.Chmod(filepath.Join(dir, "password"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	if want := "run chmod 600 " + filepath.Join(dir, "password"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestADeviceKeepsTheIdThatItMade(t *testing.T) {
	dir := etc(t, map[string]string{"ratchet.toml": "[link]\nbroker = \"tcp://broker:1883\"\n"})
	file := filepath.Join(dir, "ratchet.toml")
	first, err := LoadDraft(file, Draft{}, func() (string, error) { return "b827eb000001", nil })
	if err != nil || first.Device != "b827eb000001" {
		t.Fatalf("got %+v, %v, want device b827eb000001", first, err)
	}
	again, err := LoadDraft(file, Draft{}, func() (string, error) { return "b827eb000002", nil })
	if err != nil || again.Device != first.Device {
		t.Errorf("got %+v, %v with another network card, want device %s", again, err, first.Device)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, safefile.Unfinished)); left != nil {
		t.Errorf("got %v left behind, want nothing", left)
	}
}

func TestADeviceWithoutAnyIdSaysWhatToDo(t *testing.T) {
	text := "[link]\nbroker = \"tcp://broker:1883\"\n"
	if _, err := loadFrom(t, map[string]string{"ratchet.toml": text}); err == nil || err.Error() != "no network card" {
		t.Errorf("got %v, want the error of the MAC", err)
	}
	_, err := loadFrom(t, map[string]string{"ratchet.toml": text, "device": "\x00\n"})
	if err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v for a damaged id, want one that says what to do", err)
	}
}

func TestTheEffectiveConfigurationReadsBackAsItself(t *testing.T) {
	c, err := loadFrom(t, map[string]string{"ratchet.toml": "tags = {site = \"berlin\", floor = 1}\ngroups = [\"a\"]\n" +
		least + "spread = \"2h\"\n[telemetry]\nevery = \"1h0m5s\"\npublish = \"24h\"\nqos = 0\n"})
	if err != nil {
		t.Fatal(err)
	}
	back := &Config{path: c.path, dir: c.dir, ownBroker: c.ownBroker}
	if err := back.read("effective", []byte(c.Effective())); err != nil {
		t.Fatalf("%v in\n%s", err, c.Effective())
	}
	if !reflect.DeepEqual(back, c) {
		t.Errorf("got %+v, want %+v", back, c)
	}
	for _, want := range []string{"spread = \"2h\"", "every = \"1h0m5s\"", "site = \"berlin\""} {
		if !strings.Contains(c.Effective(), want) {
			t.Errorf("got %s, want %s in it", c.Effective(), want)
		}
	}
}

func TestSmallFlashIsSparedUnlessTheOwnerSaysOtherwise(t *testing.T) {
	for _, c := range []struct {
		set, want Duration
		small     bool
	}{{unset, spillEvery, false}, {unset, 0, true}, {Duration(time.Hour), Duration(time.Hour), true}, {0, 0, false}} {
		got, size := Telemetry{Spill: c.set}, int64(smallFlash)
		if c.small {
			size--
		}
		got.chooseSpill(size)
		if got.Spill != c.want {
			t.Errorf("set %v, small %v: got %v, want %v", c.set, c.small, got.Spill, c.want)
		}
	}
	if got := fileSystemSize(filepath.Join(t.TempDir(), "not", "yet")); got <= 0 {
		t.Errorf("got %d bytes for a directory that is still to be made, want those of the file system above", got)
	}
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{least, "[link]\nspread = \"5s\"\n[policy]\nmaxSize = \"1MB\"\n", "[[alert]]\nname = 1\n",
		"tags.a = 1\nvars = {b = 1979-05-27}\n", "a.b.c = 1\n\"\" = 2\n", "[link.broker]\nx = 1\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := DefaultAt("/nowhere/ratchet.toml")
		if err := c.read("fuzz", []byte(text)); err != nil {
			if err.Error() == "" {
				t.Error("got an error without a text")
			}
			return
		}
		var all map[string]any
		if _, err := toml.Decode(text, &all); err != nil {
			t.Errorf("took what is no TOML: %v", err)
		}
		c.Telemetry.chooseSpill(0)
		back := &Config{path: c.path, dir: c.dir, ownBroker: c.ownBroker}
		if err := back.read("effective", []byte(c.Effective())); err != nil {
			t.Errorf("the effective configuration cannot be read back: %v", err)
		}
		_ = c.validate()
	})
}

// The owner may take built-in rules away.
func TestBuiltinAlertsCanBeTakenAway(t *testing.T) {
	for _, c := range []struct {
		builtin []string
		want    string
	}{{[]string{"*"}, "disk memory temperature flash-wear clock broker-flapping"}, {[]string{"*", "-clock", "-disk"}, "memory temperature flash-wear broker-flapping"},
		{[]string{"memory"}, "memory"}, {nil, ""}} {
		var names []string
		for _, a := range (&Config{Telemetry: Telemetry{Builtin: c.builtin}}).Rules() {
			names = append(names, a.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%v: got %s, want %s", c.builtin, got, c.want)
		}
	}
}
