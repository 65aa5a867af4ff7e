package steptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ratchetd/ratchet/executor/step/data"
)

// DataWorker builds testdata/dataworker once and returns its path.
var DataWorker = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dataworker-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	path := filepath.Join(dir, "dataworker")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = filepath.Join(material(), "dataworker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var builtIn string

// RemoveWorker removes what Data has built. A TestMain calls it at the end.
func RemoveWorker() {
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
}

// Data is the kind with a worker of its own, which is built once.
func Data(t *testing.T) data.Kind {
	t.Helper()
	worker, err := DataWorker()
	if err != nil {
		t.Fatal(err)
	}
	return data.Kind{Worker: []string{worker, data.WorkerArg}}
}
