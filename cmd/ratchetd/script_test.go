package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// commands are those that sessions have beside the usual ones. A job is told
// as ID, or DEVICE/ID where the device is not gw-1. ${WORK}, ${HTTP}, ${SHA} and
// ${ADDRESS} in documents and configurations are filled in, and ${SOON}, twelve
// seconds from now, and ${KEY} and ${KEY2}, the public keys of sign.
//
//	broker start [tls] [ws] [password] | stop | restart | forget | freeze | thaw
//	offer TO/ID FILE        a retained job at its topic
//	flood TO N FILE         so many of them, with ${ID} filled in
//	ended N                 so many jobs are final, soon
//	sign FILE OUT [KEY2]    puts a document into a signed envelope
//	certify JOB [stranger]  certifies what the job requests, by the broker's authority
//	                        or another; documents name it ${CERTIFICATE}
//	clear TO/ID             takes the offer away
//	cancel TO/ID            a retained cancel
//	await JOB STATE         waits for the state
//	status JOB JQ           the status that was told last satisfies this, soon
//	sees TOPIC JQ           so does what lies at a topic below the root
//	[!] retained TOPIC      something lies there; nothing does, or soon
//	daemon start|run|kill|term|hup|wait [DEVICE]
//	appears FILE            waits for a file
//	written FILE            waits for a file that is not empty
//	lines FILE N            a file has so many lines; it may be missing for 0
//	logged REGEXP           gw-1 logs this, soon
//	boot ID                 the boot that daemons find from now on
//	http SIZE RATE          a server with one file: ${HTTP}/file, ${SHA}
//	install VERSION         the release that is the agent from now on
//	publish VERSION [HOW]   ${HTTP} has that release, ${SHA}, ${SIGNATURE}, and ${BEFORE} of the one before; it may crash, or be deaf
//	sent MIN MAX RANGES     bytes and range requests that it has answered
//	fill FILE...            fills in the files themselves
//	mount DIR SIZE [ext4]   a small disk, until the session ends; ext4 is one on a block device
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"broker":   cmdBroker,
	"offer":    cmdOffer,
	"flood":    cmdFlood,
	"ended":    cmdEnded,
	"sign":     cmdSign,
	"certify":  cmdCertify,
	"clear":    cmdClear,
	"cancel":   cmdCancel,
	"await":    cmdAwait,
	"status":   cmdStatus,
	"sees":     cmdSees,
	"retained": cmdRetained,
	"daemon":   cmdDaemon,
	"appears":  cmdAppears,
	"written":  cmdWritten,
	"lines":    cmdLines,
	"logged":   cmdLogged,
	"boot":     cmdBoot,
	"http":     cmdHTTP,
	"sent":     cmdSent,
	"mount":    cmdMount,
	"fill":     cmdFill,
	"install":  cmdInstall,
	"publish":  cmdPublish,
}

func siteOf(ts *testscript.TestScript) *site { return ts.Value("site").(*site) }

func cmdBroker(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	switch args[0] {
	case "freeze":
		ts.Check(s.broker.process.Process.Signal(syscall.SIGSTOP))
		return
	case "thaw":
		ts.Check(s.broker.process.Process.Signal(syscall.SIGCONT))
		return
	}
	if args[0] != "start" {
		ts.Check(s.broker.end())
	}
	switch args[0] {
	case "forget":
		ts.Check(s.broker.forget())
		ts.Check(s.start())
	case "start", "restart":
		ts.Check(s.start(args[1:]...))
	}
}

func cmdOffer(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	ts.Check(s.watcher.send("jobs/"+args[0], s.fill([]byte(strings.TrimSpace(ts.ReadFile(args[1]))))))
}

func cmdFlood(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		s.vars["ID"] = fmt.Sprintf("j%04d", i)
		ts.Check(s.watcher.send("jobs/"+args[0]+"/"+s.vars["ID"], s.fill([]byte(ts.ReadFile(args[2])))))
	}
}

func cmdEnded(ts *testscript.TestScript, _ bool, args []string) {
	w := siteOf(ts).watcher
	was := -1
	for {
		err := patiently(func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if n := len(w.ends); n == was {
				return fmt.Errorf("only %d jobs have ended", n)
			}
			was = len(w.ends)
			return nil
		})
		ts.Check(err)
		if fmt.Sprint(was) == args[0] {
			return
		}
	}
}

func cmdClear(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).watcher.send("jobs/"+args[0], nil))
}

func cmdCancel(ts *testscript.TestScript, _ bool, args []string) {
	id := args[0][strings.LastIndex(args[0], "/")+1:]
	ts.Check(siteOf(ts).watcher.send("jobs/"+args[0], fmt.Appendf(nil, `{"id":%q,"cancel":true}`, id)))
}

func topicOf(job string) string {
	device, id, ok := strings.Cut(job, "/")
	if !ok {
		device, id = "gw-1", job
	}
	return "device/" + device + "/jobs/" + id
}

func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).watcher.sees(topicOf(args[0]), fmt.Sprintf(".state == %q", args[1])))
}

func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).watcher.sees(topicOf(args[0]), args[1]))
}

func cmdSees(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(siteOf(ts).watcher.sees(args[0], args[1]))
}

func cmdRetained(ts *testscript.TestScript, neg bool, args []string) {
	if w := siteOf(ts).watcher; neg {
		ts.Check(w.gone(args[0]))
	} else {
		ts.Check(w.sees(args[0], "true"))
	}
}

func cmdDaemon(ts *testscript.TestScript, _ bool, args []string) {
	s, device := siteOf(ts), "gw-1"
	if len(args) > 1 {
		device = args[1]
	}
	if args[0] == "start" {
		_, err := s.launch(device, "TMPDIR="+s.dir)
		ts.Check(err)
		return
	}
	d := s.daemons[device]
	switch args[0] {
	case "kill":
		d.kill()
	case "term":
		ts.Check(d.signal(syscall.SIGTERM))
		ts.Check(d.wait())
	case "hup":
		ts.Check(s.configure(device))
		ts.Check(d.signal(syscall.SIGHUP))
	case "wait":
		ts.Check(d.wait())
	}
}

func cmdAppears(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(patiently(func() error {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err
	}))
}

func cmdWritten(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(patiently(func() error {
		info, err := os.Stat(ts.MkAbs(args[0]))
		if err == nil && info.Size() == 0 {
			err = fmt.Errorf("%s is empty", args[0])
		}
		return err
	}))
}

func cmdLines(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	if err != nil && !os.IsNotExist(err) {
		ts.Fatalf("%v", err)
	}
	if got, want := fmt.Sprint(strings.Count(string(text), "\n")), args[1]; got != want {
		ts.Fatalf("%s has %s lines, want %s: %q", args[0], got, want, text)
	}
}

func cmdLogged(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	ts.Check(patiently(func() error {
		text, err := os.ReadFile(siteOf(ts).daemons["gw-1"].log)
		if err == nil && !pattern.Match(text) {
			err = fmt.Errorf("%q is not in the log: %s", pattern, text)
		}
		return err
	}))
}

func cmdBoot(ts *testscript.TestScript, _ bool, args []string) { siteOf(ts).boot = args[0] }

func cmdMount(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	if len(args) > 2 {
		image := dir + ".img"
		for _, argv := range [][]string{{"truncate", "-s", args[1], image}, {"mkfs." + args[2], "-q", image}, {"mount", "-o", "loop", image, dir}} {
			ts.Check(ts.Exec(argv[0], argv[1:]...))
		}
	} else {
		ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+args[1]))
	}
	s := siteOf(ts)
	s.closers = append(s.closers, func() error { return unix.Unmount(dir, unix.MNT_DETACH) })
}

func cmdFill(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		ts.Check(os.WriteFile(ts.MkAbs(file), siteOf(ts).fill([]byte(ts.ReadFile(file))), 0o600))
	}
}
