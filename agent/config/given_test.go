package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a file says of a broker and of secrets; settings, as a job brings them, come
// under the name 50-job.
func TestASecretIsSentOnlyToTheBrokerThatItWasGivenFor(t *testing.T) {
	const (
		good   = "broker = \"tls://good:8883\"\n"
		evil   = "broker = \"tls://evil:8883\"\n"
		login  = "username = \"x\"\npasswordFile = \"p\"\n"
		other  = "username = \"x\"\npasswordFile = \"own\"\n"
		keys   = "[policy]\nkeys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n"
		urls   = "[policy]\nurls = [\"evil\"]\n"
		proves = "cert = \"c\"\nkey = \"k\"\n"
	)
	for name, tt := range map[string]struct {
		main, first, job string // ratchet.toml, conf.d/10-first and the settings
		want             string
	}{
		"the broker alone":               {good + login, "", evil, "link.passwordFile was given for another broker than tls://evil:8883"},
		"the key's broker alone":         {good + proves, "", evil, "link.key was given for another broker"},
		"one that an enrolment named":    {"", good + login, evil, "link.passwordFile was given"},
		"both":                           {good + login + keys, "", evil + login, ""},
		"both, where urls name the host": {good + login + urls, "", evil + login, ""},
		"both, by whoever":               {good + login, "", evil + login, "neither policy.urls nor policy.keys says who may change that"},
		"a key, named again":             {good + proves, "", evil + proves, ""},
		"a secret of its own":            {good + login, "", evil + other, ""},
		"one secret of two":              {good + login + proves + keys, "", evil + login, "link.key was given"},
		"the same host":                  {good + login, "", "broker = \"tls://GOOD:443\"\n", ""},
		"the same host in clear":         {good + login, "", "broker = \"tcp://good:1883\"\n", "link.passwordFile was given"},
		"in clear by another name":       {good + login, "", "broker = \"mqtt://good:1883\"\n", "link.passwordFile was given"},
		"encrypted by another name":      {good + login, "", "broker = \"mqtts://good:8884\"\n", ""},
		"the same host, not any more":    {"broker = \"tcp://good:1883\"\n" + login, "", good, ""},
		"no secret at all":               {good, "", evil, ""},
		"the secret behind its broker":   {good + login, evil + other, login, "link.passwordFile was given"},
		"before any broker was named":    {login, good, "[tags]\na = 1\n", ""},
		"then for the first one only":    {login, good, evil, "link.passwordFile was given"},
		"nor for one with its own":       {login, evil + other, login, "link.passwordFile was given"},
		"nor together with that":         {login, evil + other, evil + login, "neither policy.urls nor policy.keys"},
		"the secret of a broker before":  {good, "", login, ""},
		"the same broker, a new secret":  {good + login, "", other, ""},
		"nothing of the link":            {good + login, "", "[tags]\na = 1\n", ""},
		"the broker that it was already": {good + login, "", good, ""},
	} {
		dir := etc(t, map[string]string{"ratchet.toml": "device = \"gw-1\"\n[link]\n" + tt.main, "conf.d/10-first.toml": "[link]\n" + tt.first})
		before, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
		if err != nil {
			t.Fatal(name, err)
		}
		next, err := before.Again(Draft{"50-job", "[link]\n" + tt.job})
		if err == nil {
			err = next.GivenFor(before)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// What replaces a file counts as it stands there, beside what is in force now.
func TestSettingsThatReplaceAFileAreNoOtherGift(t *testing.T) {
	dir := etc(t, map[string]string{"ratchet.toml": "device = \"gw-1\"\n[link]\nusername = \"x\"\npasswordFile = \"p\"\n",
		"conf.d/site.toml": "[link]\nbroker = \"tls://good:8883\"\n"})
	before, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), Draft{}, noMAC)
	if err != nil {
		t.Fatal(err)
	}
	next, err := before.Again(Draft{"site", "[link]\nbroker = \"tls://evil:8883\"\n"})
	if err != nil {
		t.Fatal(err)
	}
	if next.GivenFor(before) == nil {
		t.Error("the password would go to another broker")
	}
	if err := next.GivenFor(nil); err != nil { // for the first broker that is named
		t.Errorf("read by itself: got %v", err)
	}
}

func TestPolicyURLsBindTheBrokerThatSettingsName(t *testing.T) {
	for _, c := range []struct{ main, draft, want string }{
		{"broker = \"tls://b:8883\"\n[policy]\nurls = [\"*.example.com\"]\n", "", ""}, // the owner's word
		{"broker = \"tls://b:8883\"\n[policy]\nurls = [\"*.example.com\"]\n", "tls://evil:8883", "link.broker: evil: policy.urls does not allow this host: add it there"},
		{"broker = \"tls://b:8883\"\n[policy]\nurls = [\"*.example.com\"]\n", "wss://evil/mqtt", "link.broker: evil: policy.urls"},
		{"broker = \"tls://b:8883\"\n[policy]\nurls = [\"*.example.com\"]\n", "tls://new.example.com:8883", ""},
		{"broker = \"tls://b:8883\"\n[policy]\nurls = [\"*.example.com\"]\n", "tls://b:8883", ""},
		{"broker = \"tls://b:8883\"\n[policy]\nurls = []\n", "tls://new.example.com:8883", "policy.urls"},
		{"broker = \"tls://b:8883\"\n", "tls://evil:8883", ""},
	} {
		dir := etc(t, map[string]string{"ratchet.toml": "device = \"gw-1\"\n[link]\n" + c.main})
		d := Draft{"net", "[link]\nbroker = \"" + c.draft + "\"\n"}
		if c.draft == "" {
			d = Draft{}
		}
		next, err := LoadDraft(filepath.Join(dir, "ratchet.toml"), d, noMAC)
		if err == nil {
			err = next.MayConnect()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.draft, err, c.want)
		}
	}
}
