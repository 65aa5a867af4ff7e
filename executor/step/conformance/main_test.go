package conformance_test

import (
	"os"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/steptest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	steptest.RemoveWorker()
	os.Exit(code)
}
