package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
)

// A documentCase is one job document of AWS with what is to come of it. Scripts
// are the handlers in the folder, each of which prints its arguments; the rest
// of the world is as it is.
type documentCase struct {
	file, variant string
	scripts       []string
	change        map[string]string // of the document's text, such as parameters of its template
	tags          string
	reference     string // the outcome on the reference client
	status        string
	says          string // in the outputs of the steps, or in the reason
	why           string // where ours differs on purpose
}

const wellKnown = "https://github.com/awslabs/aws-iot-device-client/archive/refs/tags/v1.3.tar.gz"

// parameter is a place of a managed template.
func parameter(name string) string { return "${aws:iot:parameter:" + name + "}" }

func template(more map[string]string) map[string]string {
	m := map[string]string{parameter("runAsUser"): "", parameter("pathToHandler"): ""}
	for name, value := range more {
		m[parameter(name)] = value
	}
	return m
}

var documentCases = []documentCase{
	{file: "01-sample-echo.json", reference: "succeeded", status: "SUCCEEDED", says: " Hello IoT World!"},
	{file: "02-sample-download-file.json", scripts: []string{"download-file.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/download-file.sh][root][" + wellKnown + "][/tmp/Downloaded_File.tar.gz]"},
	{file: "02-sample-download-file.json", variant: "no script", change: map[string]string{wellKnown: "FILES/a.tar.gz", "/tmp/Downloaded_File.tar.gz": "HERE/got"},
		reference: "failed", status: "SUCCEEDED", why: "built in; a cut download goes on at its byte"},
	{file: "03-sample-install-packages.json", scripts: []string{"install-packages.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/install-packages.sh][root][lftp][dos2unix]"},
	{file: "04-sample-reboot.json", scripts: []string{"reboot.sh"}, reference: "failed", status: "SUCCEEDED", says: "[DIR/reboot.sh][root]", why: "a script in the handler folder is found without a path too"},
	{file: "05-sample-remove-packages.json", scripts: []string{"remove-packages.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/remove-packages.sh][root][lftp][dos2unix]"},
	{file: "06-sample-run-shellcommand.json", change: map[string]string{"newDir": "HERE/newDir"}, reference: "succeeded", status: "SUCCEEDED"},
	{file: "07-unit-SampleJobDocument.json", variant: "no tags", reference: "succeeded", status: "REJECTED", says: "operatingSystem", why: "conditions are judged, by the device's tags"},
	{file: "07-unit-SampleJobDocument.json", variant: "tags hold", tags: `tags = {operatingSystem = "ubuntu", OS = "16.0"}`, reference: "succeeded", status: "SUCCEEDED",
		why: "the same, and a user that is unknown fails his steps, which are ignored"},
	{file: "09-unit-MinimumJobDocument.json", reference: "failed", status: "FAILED", says: "download-file.sh"},
	{file: "10-unit-CommandContainsSpaceCharacters.json", reference: "succeeded", status: "SUCCEEDED", says: "Hello World"},
	{file: "12-unit-CommandEmpty.json", reference: "rejected", status: "REJECTED", says: "steps[0].action.input.command", why: "the same, and the reason names the step and the field"},
	{file: "13-old-download-file.json", scripts: []string{"download-file.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/download-file.sh][][" + wellKnown + "][/tmp/Downloaded_File.tar.gz]"},
	{file: "14-old-echo.json", reference: "succeeded", status: "SUCCEEDED", says: ` "Hello world!"`},
	{file: "15-old-install-packages-allowStdErr.json", scripts: []string{"install-packages.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/install-packages.sh][][lftp][dos2unix]"},
	{file: "15-old-install-packages-allowStdErr.json", variant: "exit 1", scripts: []string{"install-packages.sh:exit 1"}, reference: "succeeded", status: "FAILED", says: "exit status 1", why: "as documented: allowStdErr does not hide an exit code (D5)"},
	{file: "15-old-install-packages-allowStdErr.json", variant: "3 lines", scripts: []string{"install-packages.sh:printf '1\\n2\\n3\\n' >&2"}, reference: "succeeded", status: "FAILED", says: "3 lines on stderr", why: "as documented: more lines than allowStdErr fail the step"},
	{file: "16-integ-print-greeting.json", reference: "succeeded", status: "SUCCEEDED", says: "Hello World"},
	{file: "17-integ-verify-packages-removed.json", scripts: []string{"verify-packages-removed.sh"}, reference: "succeeded", status: "SUCCEEDED", says: "[DIR/verify-packages-removed.sh][root][dos2unix]"},
	{file: "17-integ-verify-packages-removed.json", variant: "no script", reference: "failed", status: "FAILED", says: "verify-packages-removed.sh"},
	{file: "19-readme-escaped-comma.json", reference: "succeeded", status: "SUCCEEDED", says: "Hello, I am Device Client."},
	{file: "22-derived-unknown-action-type.json", reference: "rejected", status: "REJECTED", says: `"runContainer"`, why: "the same, and the reason names the type"},
	{file: "23-derived-includeStdOut-boolean.json", reference: "succeeded", status: "SUCCEEDED", says: "stdout=Hello World!", why: "a boolean counts as the string does, so stdout is told (D6)"},
	{file: "24-managed-AWS-Reboot.json", variant: "unfilled", reference: "failed", status: "REJECTED", says: "${aws:iot:", why: "a document with an open parameter can never work"},
	{file: "24-managed-AWS-Reboot.json", change: template(nil), scripts: []string{"reboot.sh"}, reference: "failed", status: "SUCCEEDED", says: "[DIR/reboot.sh][]", why: "as 04"},
	{file: "25-managed-AWS-Download-File.json", change: template(map[string]string{"downloadUrl": "FILES/a.tar.gz", "filePath": "HERE/"}),
		reference: "failed", status: "SUCCEEDED", why: "built in; into a folder the file keeps its name"},
	{file: "26-managed-AWS-Install-Application.json", change: template(map[string]string{"packages": "lftp dos2unix", "pathToHandler": "default"}), scripts: []string{"install-packages.sh"},
		reference: "succeeded", status: "SUCCEEDED", says: "[DIR/install-packages.sh][][lftp dos2unix]"},
	{file: "27-managed-AWS-Remove-Application.json", change: template(map[string]string{"packages": "lftp dos2unix", "pathToHandler": "default"}), scripts: []string{"remove-packages.sh"},
		reference: "succeeded", status: "SUCCEEDED", says: "[DIR/remove-packages.sh][][lftp dos2unix]"},
	{file: "29-managed-AWS-Stop-Application.json", change: template(map[string]string{"services": "a b", "pathToHandler": "default"}), scripts: []string{"stop-services.sh"},
		reference: "succeeded", status: "SUCCEEDED", says: "[DIR/stop-services.sh][][a b]"},
	{file: "30-managed-AWS-Restart-Application.json", change: template(map[string]string{"services": "a b", "pathToHandler": "default"}), scripts: []string{"restart-services.sh"},
		reference: "succeeded", status: "SUCCEEDED", says: "[DIR/restart-services.sh][][a b]"},
	{file: "31-managed-AWS-Run-Command-after-substitution.json", change: map[string]string{"/tmp/njp-demo-ok": "HERE/ok"}, reference: "succeeded", status: "SUCCEEDED"},
}

// jobDocuments is the folder of AWS's own documents, which are not a part of
// this repository: see its INDEX.md.
func jobDocuments(t *testing.T) string {
	dir := os.Getenv("AWS_JOBDOCS")
	if dir == "" {
		dir = "../../shared/aws-jobdocs"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("AWS's job documents are not here: name their folder in AWS_JOBDOCS (%v)", err)
	}
	return dir
}

func TestEveryAWSDocumentHasItsOutcome(t *testing.T) {
	t.Parallel()
	dir := jobDocuments(t)
	if os.Geteuid() != 0 {
		t.Skip("documents that run as root need root")
	}
	rows := make([]string, len(documentCases))
	t.Run("cases", func(t *testing.T) {
		for i, c := range documentCases {
			t.Run(c.file+" "+c.variant, func(t *testing.T) {
				text, err := os.ReadFile(filepath.Join(dir, c.file))
				if err != nil {
					t.Fatal(err)
				}
				rows[i] = c.play(t, string(text))
			})
		}
	})
	table := "| document | reference client | ours | why it differs |\n|---|---|---|---|\n" + strings.Join(rows, "")
	golden(t, "testdata/aws-documents.md", table)
}

// play runs the document on a device of its own, and returns its row.
func (c documentCase) play(t *testing.T, text string) string {
	s, d := newAWS(t, c.tags)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") }))
	t.Cleanup(web.Close)
	for from, to := range c.change {
		to = strings.ReplaceAll(strings.ReplaceAll(to, "FILES", web.URL), "HERE", t.TempDir())
		text = strings.ReplaceAll(text, from, to)
	}
	if err := os.Mkdir(filepath.Join(d.dir, "handlers"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, script := range c.scripts {
		name, body, _ := strings.Cut(script, ":")
		path := filepath.Join(d.dir, "handlers", name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf '[%s]' \"$0\" \"$@\"\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.start()
	create(t, s, "job", text)
	e := ends(t, s, "job")
	if says := strings.ReplaceAll(c.says, "DIR", filepath.Join(d.dir, "handlers")); !strings.Contains(d.said(e), says) {
		t.Errorf("got %q, want %q in it", d.said(e), says)
	}
	if e.Status != c.status {
		t.Errorf("got %s (%s), want %s", e.Status, e.Details["reason"], c.status)
	}
	if e.Status == "REJECTED" && strings.Join(e.History, " ") != "QUEUED REJECTED" {
		t.Errorf("got %q, want a rejected job never in progress", e.History)
	}
	name := c.file
	if c.variant != "" {
		name += ", " + c.variant
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", name, c.reference, strings.ToLower(e.Status), c.why)
}

// said is all that a job had to say, on the device and to the service.
func (d *device) said(e jobs.Execution) string {
	text := "stdout=" + e.Details["stdout"] + "\n" + e.Details["reason"] + "\n"
	records, err := d.db.Records()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, r := range records {
		for _, s := range r.Steps {
			text += s.Output + s.Reason + "\n"
		}
	}
	return text
}

// golden checks text against a file that -update writes.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if t.Failed() {
		return
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, err := os.ReadFile(path); err != nil || text != string(want) {
		t.Errorf("%s is not what the test found: run it with -update (%v)\ngot:\n%s", path, err, text)
	}
}
