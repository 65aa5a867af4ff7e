// Package looktest makes file systems that hang, for tests.
package looktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Hang mounts a file system that takes every request and answers none, until the test
// ends, and returns its path. Whoever looks at it waits where no signal reaches. Where
// this process may mount none the test is skipped.
func Hang(t testing.TB) string {
	t.Helper()
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE here: ", err)
	}
	dir := filepath.Join(t.TempDir(), "hung")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := unix.Mount("hung", dir, "fuse.hung", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		_ = unix.Close(device)
		t.Skip("no file system can be mounted here: ", err)
	}
	ended := make(chan error, 1)
	stop, begun := make(chan struct{}), make(chan struct{})
	go func() { ended <- serve(device, stop, begun) }()
	t.Cleanup(func() {
		close(stop)
		err := <-ended
		// Without its device the kernel answers for it: all who wait go on.
		if err := errors.Join(err, unix.Close(device), unix.Unmount(dir, unix.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-begun:
	case err := <-ended:
		t.Fatal(err)
	}
	return dir
}

// serve says that the file system is ready, and takes requests until stop.
func serve(device int, stop, begun chan struct{}) error {
	buf := make([]byte, 1<<17)
	for ready := false; ; {
		select {
		case <-stop:
			return nil
		default:
		}
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(device), Events: unix.POLLIN}}, 50); err != nil || n == 0 {
			if err != nil && err != unix.EINTR {
				return err
			}
			continue
		}
		n, err := unix.Read(device, buf)
		if err != nil {
			continue // whoever asked was ended first
		}
		const opInit = 26
		if op := binary.NativeEndian.Uint32(buf[4:]); op == opInit && n > 56 && !ready {
			ready = true
			if _, err := unix.Write(device, initReply(buf)); err != nil {
				return err
			}
			close(begun)
		}
	}
}

// initReply answers FUSE_INIT with the version that was offered, and no feature.
func initReply(request []byte) []byte {
	const header, body = 16, 64
	reply := make([]byte, header+body)
	binary.NativeEndian.PutUint32(reply, header+body)
	copy(reply[8:16], request[8:16])   // which request
	copy(reply[16:24], request[40:48]) // major and minor
	binary.NativeEndian.PutUint32(reply[16+20:], 4096)
	return reply
}
