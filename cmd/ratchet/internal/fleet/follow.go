package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/link"
)

const (
	tick = 100 * time.Millisecond // how often the display is brought up to date
	// refreshEvery is how often all that is retained is asked for again.
	refreshEvery = 30 * time.Second
)

// An Update is news of a job that goes on; one of Status, Rows
// and Note is set.
type Update struct {
	Status *dialect.JobStatus // every status as it comes
	Rows   []Row              // how all devices stand, again and again
	Job    *Job               // whose Rows these are
	Note   string             // what else there is to say
}

// Read takes all that is retained of these parts. The status of a device that is
// online and seems silent it asks for by name.
func (j *Job) Read(ctx context.Context, c *link.Client, parts ...Part) error {
	for _, filter := range Filters(c.Root(), parts...) {
		if t, ok := dialect.ParseTopic(c.Root(), filter); ok {
			j.asked[t] = true
		}
	}
	if err := c.ReadRetained(ctx, func(m link.Message) { j.Apply(m) }, Filters(c.Root(), parts...)...); err != nil {
		return err
	}
	if err := j.again(ctx, c, Filters(c.Root(), parts...)); err != nil {
		return err
	}
	return j.askFor(ctx, c, j.silent(c.Root()))
}

// silent are the topics of the statuses of devices that should have one.
func (j *Job) silent(root string) []string {
	var topics []string
	for _, r := range j.Rows(time.Now()) {
		if r.Online && !r.Final() {
			topics = append(topics, dialect.Topic{Device: r.Device, Part: "jobs", Name: j.ID}.Below(root))
		}
	}
	return topics
}

// Follow keeps the job up to date and shows its updates, one at a time, until no
// device is to be waited for. The notes, which may be nil, are shown as they come.
func (j *Job) Follow(ctx context.Context, c *link.Client, show func(Update), notes <-chan string) error {
	for _, r := range j.Rows(time.Now()) {
		if r.Answered {
			show(Update{Status: &r.Status})
		}
	}
	beat, again := time.NewTicker(tick), time.NewTicker(refreshEvery)
	defer beat.Stop()
	defer again.Stop()
	for {
		rows := j.Rows(time.Now())
		show(Update{Rows: rows, Job: j})
		if !j.Waits(rows) {
			return nil
		}
		if err := j.listen(ctx, c, show, notes, beat.C); err != nil {
			return err
		}
		select {
		case <-again.C:
			c.Refresh()
			if err := j.askFor(ctx, c, j.silent(c.Root())); err != nil {
				show(Update{Note: fmt.Sprintf("ratchet: asking for what is missing: %v", err)})
			}
		default:
		}
	}
}

// Until keeps the job up to date until done says so of its rows, or ctx ends; then
// the rows come with an error.
func (j *Job) Until(ctx context.Context, c *link.Client, done func([]Row) bool) ([]Row, error) {
	beat := time.NewTicker(tick)
	defer beat.Stop()
	for {
		rows := j.Rows(time.Now())
		if done(rows) {
			return rows, nil
		}
		if err := j.listen(ctx, c, func(Update) {}, nil, beat.C); err != nil {
			return j.Rows(time.Now()), err
		}
	}
}

// listen takes what comes until the next beat.
func (j *Job) listen(ctx context.Context, c *link.Client, show func(Update), notes <-chan string, beat <-chan time.Time) error {
	for {
		select {
		case m := <-c.Feed():
			if news, ok := j.Apply(m); ok {
				show(Update{Status: &news})
			}
		case err := <-c.Lost():
			show(Update{Note: fmt.Sprintf("ratchet: lost the broker (%v), connecting again", err)})
		case text := <-notes:
			show(Update{Note: text})
		case <-beat:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
