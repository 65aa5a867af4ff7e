package clock

import (
	"testing"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

func TestABrokenCronIsRefused(t *testing.T) {
	if err := CheckWindow(&executor.Window{Cron: "TZ=0", Duration: executor.Duration(time.Hour)}); err == nil {
		t.Error("a cron that names a time zone was taken")
	}
}

func TestAWindowIsARealCron(t *testing.T) {
	w := &executor.Window{Cron: "@every 24h", Duration: executor.Duration(2 * time.Hour)}
	if err := CheckWindow(w); err == nil {
		t.Errorf("accepted, but never opens: %s", WindowClosed(w, time.Now()))
	}
}
