// With the race detector other memory is taken.

//go:build !race

package updater_test

import (
	"math/rand/v2"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/updater"
)

// taken is what the Go runtime has of the system now, in bytes.
func taken() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// peak is how much more than before act takes at the same time.
func peak(t *testing.T, act func() error) uint64 {
	t.Helper()
	debug.FreeOSMemory()
	before, most := taken(), make(chan uint64)
	done := make(chan struct{})
	go func() {
		var m uint64
		for {
			m = max(m, taken())
			select {
			case <-done:
				most <- max(m, taken())
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	}()
	err := act()
	close(done)
	if m := <-most; err != nil {
		t.Error(err)
	} else if m > before {
		return m - before
	}
	return 0
}

func TestVerifyTakesNoMemoryAndStageNoMoreThanNeed(t *testing.T) {
	const size = 10 << 20
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	public, private := newKey(t)
	path := write(t, content)
	sum, err := updater.Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	for form, signature := range map[string]string{
		"ED": prehashed(t, private, content), "Ed": string(minisign.Sign(private, content)),
	} {
		c := updater.Candidate{Part: path, SHA256: sum, Signature: signature, Keys: []string{public.String()}}
		lies := peak(t, c.Verify)
		library := peak(t, func() error { return c.Stage(filepath.Join(t.TempDir(), "ratchetd")) })
		t.Logf("a binary of %d MiB, signature %s: as it lies %d KiB, selfupdate %d KiB", size>>20, form, lies>>10, library>>10)
		if lies > 1<<20 {
			t.Errorf("%s: got %d bytes to vouch for it as it lies, want less than 1 MiB", form, lies)
		}
		if need := updater.Need(size); library > need {
			t.Errorf("%s: got %d bytes for selfupdate, want at most the %d that are reckoned with", form, library, need)
		}
	}
}
