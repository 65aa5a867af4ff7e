package enroll

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/agent/config"
)

// enrolAt enrolls without a broker, and returns what was said.
func enrolAt(t *testing.T, path string, e Enrolment) (*config.Config, string, error) {
	t.Helper()
	var said []string
	c, err := e.Enroll(t.Context(), path, true, func(line string) { said = append(said, line) })
	return c, strings.Join(said, "\n"), err
}

func TestEnrollRefusesBadInputBeforeItWritesAnything(t *testing.T) {
	const hub = "HostName=h.azure-devices.net;DeviceId=gw-7;SharedAccessKey=a2V5"
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, e := range map[string]Enrolment{
		"--broker: want its address":                      {},
		`"broker:1883": want an address such as tls://`:   {Broker: "broker:1883"},
		"want a port too, such as tls://b:8883":           {Broker: "tls://b"},
		"user and password do not belong here":            {Broker: "tls://u:p@b:8883"},
		`device: "a/b": want 1 to 64 of`:                  {Broker: "tls://b:8883", Device: "a/b"},
		`groups: "": want 1 to 64 of`:                     {Broker: "tls://b:8883", Groups: []string{"a", ""}},
		`link.dialect: "gcp": want plain, aws or azure`:   {Broker: "tls://b:8883", Dialect: "gcp"},
		"--token-file: want one line of at most":          {Broker: "tls://b:8883", Token: "a\nb"},
		"--ca: stat /nowhere":                             {Broker: "tls://b:8883", CA: "/nowhere"},
		"--ca: " + big + " has 1048577 bytes":             {Broker: "tls://b:8883", CA: big},
		"--cert: / is no file":                            {Broker: "tls://b:8883", Cert: "/", Key: big},
		"link.cert and link.key: want both or none":       {Broker: "tls://b:8883", Key: "enroll_test.go"},
		"want the name of the thing in AWS IoT":           {Broker: "tls://x-ats.iot.eu-west-1.amazonaws.com:8883"},
		"ratchetd enroll --csr makes a request for one":   {Broker: "tls://x-ats.iot.eu-west-1.amazonaws.com:8883", Device: "gw-7"},
		"the azure dialect wants link.sasKeyFile, or":     {Broker: "tls://h.azure-devices.net:8883", Device: "gw-7"},
		"want the connection string of a device":          {Token: "HostName=h;SharedAccessKeyName=service;SharedAccessKey=a2V5"},
		`"gw-8": the connection string is that of "gw-7"`: {Device: "gw-8", Token: hub},
		"azure dialect makes them itself":                 {Username: "me", Token: hub},
	} {
		path := filepath.Join(t.TempDir(), "etc", "ratchet.toml")
		_, said, err := enrolAt(t, path, e)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, there := os.Stat(filepath.Dir(path)); there == nil || said != "" {
			t.Errorf("%s: it wrote something, and said %q", want, said)
		}
	}
}

func TestEnrollKnowsWhatAzureShows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratchet.toml")
	c, _, err := enrolAt(t, path, Enrolment{Token: " HostName=h.azure-devices.net;DeviceId=gw-7;SharedAccessKey=a2V5Cg==\n"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Link.Dialect != "azure" || c.Link.Broker != "tls://h.azure-devices.net:8883" || c.Device != "gw-7" {
		t.Errorf("got %+v", c.Link)
	}
	c, err = config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, c.Link.SASKeyFile); got != "a2V5Cg==\n" {
		t.Errorf("got %q", got)
	}
	if _, _, err := enrolAt(t, path, Enrolment{Token: "not base64", Device: "gw-7", Broker: "tls://h.azure-devices.net:8883"}); err == nil {
		t.Error("a key that is none was taken")
	}
}

// A person logs in as the device unless they say otherwise: the ACL of the
// broker is made of the user's name.
func TestWhoEnrollsWithAPasswordLogsInAsTheDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratchet.toml")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "device"), []byte("made-before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for username, want := range map[string]string{"": "made-before", "other": "other"} {
		if _, _, err := enrolAt(t, path, Enrolment{Broker: "tls://b:8883", Username: username, Token: "secret"}); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Link.Username != want {
			t.Errorf("got %q, want %q", c.Link.Username, want)
		}
	}
}

func TestEnrollTellsWhoOverrulesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratchet.toml")
	later := filepath.Join(filepath.Dir(path), "conf.d", "site.toml")
	if err := os.MkdirAll(filepath.Dir(later), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(later, []byte("[link]\nbroker = \"tcp://old:1883\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := enrolAt(t, path, Enrolment{Broker: "tls://new:8883", Device: "gw-7"})
	if err == nil || !strings.Contains(err.Error(), `read after enroll.toml sets it to "tcp://old:1883"`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(later), "enroll.toml")); err == nil {
		t.Error("it was written all the same")
	}
}

// Wherever an enrolment was cut, the next one completes it and clears up.
func TestACutEnrolmentIsCompletedByTheNext(t *testing.T) {
	e := Enrolment{Broker: "tls://b:8883", Device: "gw-7", Token: "secret"}
	for _, left := range []string{".enroll/link.password", ".link.password.ratchet-new", "ratchet.toml", "link.password", "link.sas", "conf.d/enroll.toml"} {
		dir := t.TempDir()
		for _, path := range []string{filepath.Join(dir, ".enroll"), filepath.Join(dir, "conf.d")} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, left), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, left), 0o644); err != nil {
			t.Fatal(err)
		}
		enrolled := filepath.Join(dir, "ratchet.toml")
		if _, _, err := enrolAt(t, enrolled, e); err != nil {
			t.Errorf("%s: %v", left, err)
		}
		if _, err := config.Load(enrolled); err != nil {
			t.Errorf("%s: %v", left, err)
		}
		for _, gone := range []string{".enroll", ".link.password.ratchet-new", "link.sas"} {
			if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
				t.Errorf("%s: %s is left", left, gone)
			}
		}
		if _, said, err := enrolAt(t, enrolled, e); err != nil || !strings.Contains(said, "nothing was changed") {
			t.Errorf("%s: got %q, %v", left, said, err)
		}
	}
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Who enrolls at another broker says what it is to be told, and the owner's policy
// which brokers there may be.
func TestEnrollSendsNoSecretToABrokerThatItWasNotGivenFor(t *testing.T) {
	for _, c := range []struct {
		main string
		e    Enrolment
		want string
	}{
		{"[link]\nbroker = \"tls://old:8883\"\nusername = \"x\"\npasswordFile = \"p\"\n", Enrolment{Broker: "tls://new:8883"}, "link.passwordFile was given for another broker than tls://new:8883"},
		{"[link]\nbroker = \"tls://old:8883\"\nusername = \"x\"\npasswordFile = \"p\"\n", Enrolment{Broker: "tls://new:8883", Token: "secret"}, ""},
		{"[link]\nusername = \"x\"\npasswordFile = \"p\"\n", Enrolment{Broker: "tls://new:8883"}, ""},
		{"[policy]\nurls = [\"*.example.com\"]\n", Enrolment{Broker: "tls://new:8883", Token: "secret"}, "link.broker: new: policy.urls does not allow this host: add it there"},
		{"[policy]\nurls = [\"*.example.com\"]\n", Enrolment{Broker: "tls://b.example.com:8883", Token: "secret"}, ""},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"ratchet.toml": "device = \"gw-7\"\n" + c.main, "p": "old-secret\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := enrolAt(t, filepath.Join(dir, "ratchet.toml"), c.e)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s at %s: got %v, want %q", c.main, c.e.Broker, err, c.want)
		}
	}
}
