package health_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// backlogPace is how far apart arrays of samples that waited are.
const backlogPace = 10 * time.Second

func TestSamplesThatWaitedComeBehindTheLiveOneInArrays(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		time.Sleep(11 * time.Minute)
		f.want("")
		f.up()
		time.Sleep(time.Second)
		f.want("00:10")
		time.Sleep(2 * backlogPace)
		f.want("00:10 00:00+00:05")
		time.Sleep(4 * time.Minute)
		f.want("00:10 00:00+00:05 00:15")
	})
}

func TestNoFlashIsWrittenWhileOnlineAndLittleWhileOffline(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		f.up()
		before := f.DB.Commits()
		time.Sleep(24 * time.Hour)
		if got := f.DB.Commits() - before; got != 0 {
			t.Errorf("a day online: got %d commits, want none", got)
		}
		f.down()
		time.Sleep(24 * time.Hour)
		if got := f.DB.Commits() - before; got < 60 || got > 96 {
			t.Errorf("a day offline: got %d commits, want at most one in a quarter of an hour, so 60 to 96", got)
		}
		spilled := f.DB.Commits()
		f.up()
		time.Sleep(time.Hour)
		if got := f.DB.Commits() - spilled; got != 1 {
			t.Errorf("once all was sent: got %d commits, want 1", got)
		}
		if got, want := len(f.taken()), 49*12; got < want || got > want+1 {
			t.Errorf("got %d samples of 49 hours, want %d", got, want)
		}
	})
}

func TestASampleStaysInTheJournalUntilTheBrokerTookIt(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		time.Sleep(31 * time.Minute)
		f.setDeaf(true)
		f.up()
		time.Sleep(time.Minute)
		f.stop()
		f = feel(t, dir) // and a restart finds it
		defer f.stop()
		time.Sleep(time.Second)
		f.up()
		time.Sleep(time.Minute)
		f.want("00:32 00:00+00:05+00:10+00:15")
		waiting, err := f.DB.Samples()
		if err != nil || len(waiting) != 0 {
			t.Errorf("got %d in the journal, %v; want none once the broker took them", len(waiting), err)
		}
	})
}

func TestSamplesOfAWrongClockGetTheirTimeOnceItIsRight(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		f.Clock.Raise(time.Now().Add(time.Hour)) // what is below that is no time
		time.Sleep(26 * time.Minute)
		f.up()
		time.Sleep(time.Second)
		f.want("-")
		f.Clock.Start(time.Now())
		time.Sleep(2 * backlogPace)
		f.want("- 00:00+00:05+00:10+00:15+00:20")
	})
}

func TestADayOfTwoHundredReconnectsLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := feel(t, dir)
		defer f.stop()
		var early, late uint64
		var routines int
		for i := range 200 {
			f.up()
			time.Sleep(4 * time.Minute)
			f.down()
			time.Sleep(192 * time.Second)
			switch i {
			case 20:
				early, routines = heap(), runtime.NumGoroutine()
			case 199:
				for range 10 { // what a stack still points to by chance goes with what runs next
					if late = heap(); late <= early+256<<10 {
						break
					}
					time.Sleep(time.Minute)
				}
			}
		}
		if got := runtime.NumGoroutine(); got > routines {
			t.Errorf("got %d goroutines, %d after 20 reconnects", got, routines)
		}
		if late > early+256<<10 {
			t.Errorf("the heap grew from %d to %d bytes", early, late)
		}
		f.up()
		time.Sleep(10 * time.Minute)
		seen := map[time.Time]bool{}
		for _, at := range f.taken() {
			seen[at] = true
		}
		if got, want := len(seen), 24*12+2; got < want {
			t.Errorf("got %d samples, want those of a day, %d", got, want)
		}
	})
}

// heap is what lives, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold lives for one collection
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
