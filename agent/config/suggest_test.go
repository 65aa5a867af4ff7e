package config

import (
	"strings"
	"testing"
)

// A name that means nothing is no rule: a slip of the pen must not look like one.
func TestANameThatMeansNothingIsRefusedWithTheOneThatIsMeant(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[telemetry]\nbuiltin = [\"*\", \"-tempertaure\"]\n", `telemetry.builtin: "tempertaure": want *, or`},
		{"[telemetry]\nbuiltin = [\"*\", \"-tempertaure\"]\n", `; did you mean "temperature"?`},
		{"[telemetry]\nbuiltin = [\"disc\"]\n", `; did you mean "disk"?`},
		{"[aws]\nmetrics = [\"disk_precent\"]\n", `; did you mean "disk_percent"?`},
		{"dialect = \"azur\"\n", `link.dialect: "azur": want plain, aws or azure; did you mean "azure"?`},
		{"brokr = \"tcp://b:1\"\n", `ratchet.toml:5: link.brokr: unknown key; did you mean "broker"?`},
		{"[polcy]\n", `ratchet.toml:5: polcy: unknown key; did you mean "policy"?`},
		{"[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"a\"\ncatchup = true\n", `ratchet.toml:9: schedule.catchup: unknown key; did you mean "catchUp"?`},
		{"[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"a\"\noverlap = \"queu\"\n", `schedule.overlap: "queu": want skip or queue; did you mean "queue"?`},
		{"[[alert]]\nname = \"a\"\nwhen = \".x\"\nseverity = \"warnign\"\n", `alert.severity: "warnign": want info, warning or critical; did you mean "warning"?`},
		{"[policy]\ncommands = [\"logger\"]\n", `policy.commands: "logger" matches nothing: want the whole path of a program, such as /usr/bin/logger`},
		{"[policy]\nurls = [\"https://example.com/\"]\n", `policy.urls: "https://example.com/" matches nothing: want a host, such as example.com`},
		{"[policy]\nurls = [\"*.example.com:8443\"]\n", `policy.urls: "*.example.com:8443" matches nothing: want a host, such as *.example.com`},
	} {
		if _, err := loadText(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v\nwant it to say %s", c.text, err, c.want)
		}
	}
}
