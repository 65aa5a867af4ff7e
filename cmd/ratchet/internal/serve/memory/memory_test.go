package memory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func opened(t *testing.T) (*Memory, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "serve.db")
	m, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, file
}

func said(part, name, payload string) link.Message {
	return link.Message{Topic: dialect.Topic{Device: "gw-7", Part: part, Name: name}, Payload: []byte(payload)}
}

func sampleAt(at time.Time, cpu float64) link.Message {
	return said("health", "", fmt.Sprintf(`{"device":"gw-7","time":%q,"cpu":{"percent":%g},"memory":{"percent":40},"disk":[{"path":"/","percent":70},{"path":"/data","percent":90}]}`,
		at.UTC().Format(time.RFC3339), cpu))
}

func take(t *testing.T, m *Memory, all ...link.Message) {
	t.Helper()
	if err := m.Take(t.Context(), noon, all); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasTakenIsThereAfterTheNextStart(t *testing.T) {
	m, file := opened(t)
	session := m.Session()
	take(t, m, said("alerts", "disk", `{"state":"raised","severity":"warning","since":"2026-11-30T11:00:00Z","value":93}`),
		said("jobs", "wifi", `{"state":"running","rev":2,"step":{"name":"one"}}`),
		said("jobs", "wifi", `{"state":"succeeded","rev":3}`))
	m.Close()
	m, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Session() != session {
		t.Error("the session has another name after a start")
	}
	alerts, err := m.Alerts(t.Context(), "", 1<<62, 10)
	if err != nil || len(alerts) != 1 || string(alerts[0].Value) != "93" || !alerts[0].Cleared.IsZero() {
		t.Errorf("got %+v and %v, want one raised alert", alerts, err)
	}
	passages, err := m.Passages(t.Context(), "gw-7", "wifi", 10)
	if err != nil || len(passages) != 2 || passages[0].Step != "one" || passages[1].State != "succeeded" {
		t.Errorf("got %+v and %v, want running and succeeded", passages, err)
	}
}

func TestWhatComesTwiceCountsOnce(t *testing.T) {
	m, _ := opened(t)
	at := noon.Add(-time.Hour)
	for range 3 {
		take(t, m, sampleAt(at, 10), sampleAt(at.Add(time.Minute), 30))
	}
	for step, want := range map[time.Duration]int{2 * time.Hour: 2, 24 * time.Hour: 1} {
		points, _, err := m.Health(t.Context(), "gw-7", noon.Add(-step), noon, 300)
		if err != nil || len(points) != want {
			t.Fatalf("over %v: got %d points and %v, want %d", step, len(points), err, want)
		}
		if got := *points[len(points)-1].Values[0]; want == 1 && got != 20 || want == 2 && got != 30 {
			t.Errorf("over %v: cpu is %v", step, got)
		}
	}
}

func TestTheFullestDiskIsKeptAndWhatIsNotMeasuredIsNil(t *testing.T) {
	m, _ := opened(t)
	take(t, m, sampleAt(noon.Add(-time.Minute), 10))
	points, _, err := m.Health(t.Context(), "gw-7", noon.Add(-time.Hour), noon, 300)
	if err != nil || len(points) != 1 || *points[0].Values[4] != 90 || points[0].Values[1] != nil {
		t.Errorf("got %+v and %v", points, err)
	}
}

func TestAnAlertEndsWhenItIsCleared(t *testing.T) {
	m, _ := opened(t)
	take(t, m, said("alerts", "disk", `{"state":"raised","since":"2026-11-30T11:00:00Z"}`),
		said("alerts", "disk", `{"state":"cleared","since":"2026-11-30T11:00:00Z","cleared":"2026-11-30T11:30:00Z"}`),
		said("alerts", "disk", ""))
	alerts, err := m.Alerts(t.Context(), "gw-7", 1<<62, 10)
	if err != nil || len(alerts) != 1 || alerts[0].Cleared.Minute() != 30 {
		t.Errorf("got %+v and %v, want one that was cleared at 11:30", alerts, err)
	}
}

func TestWhatNoDeviceSendsHoldsNothingUp(t *testing.T) {
	m, _ := opened(t)
	take(t, m, said("jobs", "x", "{"), said("alerts", "x", "[]"), said("health", "", `{"time":5}`), said("facts", "", "\x00"),
		link.Message{Topic: dialect.Topic{Device: "no such/name", Part: "state"}}, said("health", "", `[]`), sampleAt(noon.AddDate(50, 0, 0), 1))
	points, _, err := m.Health(t.Context(), "gw-7", noon.Add(-time.Hour), noon.Add(time.Minute), 300)
	if err != nil || len(points) != 1 {
		t.Errorf("got %v and %v, want the one sample, at the time it came", points, err)
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	m, file := opened(t)
	if _, err := m.write.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if _, err := Open(t.Context(), file); err == nil || !strings.Contains(err.Error(), "a newer ratchet wrote it (schema 99") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyElseReadsTheDatabase(t *testing.T) {
	m, file := opened(t)
	take(t, m, said("facts", "", "{}"))
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", filepath.Base(name), info, err)
		}
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	_, file := opened(t)
	if _, err := Open(t.Context(), file); err == nil || !strings.Contains(err.Error(), "another 'ratchet serve' has it") {
		t.Errorf("got %v", err)
	}
}

func TestAFullDiskIsSaidAndKeepsNoHalfBatch(t *testing.T) {
	m, _ := opened(t)
	take(t, m, said("state", "", `{"online":true}`))
	if _, err := m.write.Exec("PRAGMA max_page_count = 1"); err != nil { // that is: no page more
		t.Fatal(err)
	}
	long := `{"state":"running","rev":1,"reason":"` + strings.Repeat("x", 15000) + `"}`
	var all []link.Message
	for i := range 20 {
		all = append(all, said("jobs", fmt.Sprint("job-", i), long))
	}
	err := m.Take(t.Context(), noon, all)
	if err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
		t.Fatalf("got %v", err)
	}
	if got := rowsOf(t, m, "statuses"); got != 0 {
		t.Errorf("%d statuses of a batch that failed", got)
	}
	if _, err := m.write.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	take(t, m, all...)
	if got := rowsOf(t, m, "statuses"); got != 20 {
		t.Errorf("%d statuses when there is room again, want 20", got)
	}
}

func rowsOf(t *testing.T, m *Memory, table string) (n int) {
	t.Helper()
	if err := m.read.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsOldIsForgottenAndMeansStayLonger(t *testing.T) {
	m, _ := opened(t)
	take(t, m, sampleAt(noon.Add(-72*time.Hour), 10), sampleAt(noon.Add(-time.Hour), 10),
		said("jobs", "done", `{"state":"failed","rev":4}`), said("jobs", "goes-on", `{"state":"running","rev":4}`))
	if err := m.Shrink(t.Context(), DefaultKeep(), noon); err != nil {
		t.Fatal(err)
	}
	if raw, means := rowsOf(t, m, "health"), rowsOf(t, m, "health_5m"); raw != 1 || means != 2 {
		t.Errorf("%d samples and %d means, want 1 and 2", raw, means)
	}
	if err := m.Shrink(t.Context(), DefaultKeep(), noon.AddDate(2, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if statuses, hours := rowsOf(t, m, "statuses"), rowsOf(t, m, "health_1h"); statuses != 1 || hours != 0 {
		t.Errorf("after two years %d statuses and %d hours, want the unfinished one and none", statuses, hours)
	}
}

func BenchmarkTake(b *testing.B) {
	m, err := Open(context.Background(), filepath.Join(b.TempDir(), "serve.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	const size = 20 // what mosquitto has under way at a time
	for i := 0; b.Loop(); i++ {
		var all []link.Message
		for k := range size {
			s := sampleAt(noon.Add(time.Duration(i)*time.Second), 10)
			s.Topic.Device = fmt.Sprint("gw-", (i*size+k)%1000)
			all = append(all, s)
		}
		if err := m.Take(context.Background(), noon, all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "messages/s")
}
