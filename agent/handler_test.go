package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ratchetd/ratchet/executor"
)

func TestAHandlerThatOthersCouldExchangeIsRefused(t *testing.T) {
	for name, harm := range map[string]func(dir, file string) error{
		"a file":             func(_, file string) error { return os.Chmod(file, 0o722) },
		"its folder":         func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"an owner's":         func(_, file string) error { return os.Chown(file, 65534, -1) },
		"its folder's owner": func(dir, _ string) error { return os.Chown(dir, 65534, -1) },
	} {
		dir := filepath.Join(t.TempDir(), "handlers")
		file := filepath.Join(dir, "reboot.sh")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700)); err != nil {
			t.Fatal(err)
		}
		if there, err := handlerFile(file); !there || err != nil {
			t.Errorf("%s: got %v, %v before it was open to others, want it taken", name, there, err)
		}
		if err := harm(dir, file); errors.Is(err, fs.ErrPermission) {
			continue // only root can give a file away
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := handlerFile(file); err == nil || !strings.Contains(err.Error(), "run ch") {
			t.Errorf("%s: got %v, want what to run against it", name, err)
		}
	}
}

func TestRefusalsThatNobodyTakesAreBounded(t *testing.T) {
	told := newReports()
	for i := range 3 * maxWords {
		told.refuse(executor.Record{Key: fmt.Sprint("j", i), Digest: "d"})
	}
	told.refuse(executor.Record{Key: "j0", Digest: "mended"})
	if n := len(told.refusals()); n != maxWords || told.receipts.refused["j0"].Digest != "mended" {
		t.Errorf("got %d refusals, j0 is %+v; want %d, with the newest word", n, told.receipts.refused["j0"], maxWords)
	}
}

func TestOnlyALifeThatAURLCanHaveIsWaitedFor(t *testing.T) {
	for query, want := range map[string]string{
		"?X-Amz-Expires=3600&a=b": "3600", "?a=b&X-Amz-Expires=604800": "604800",
		"?X-Amz-Expires=0": "", "?X-Amz-Expires=99999999999999": "", "?x=1": "",
	} {
		got := ""
		if found := presigned.FindStringSubmatch(`{"url":"https://h/f` + query + `"}`); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}
