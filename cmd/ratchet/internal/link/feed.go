package link

const (
	// maxWaiting is how many bytes of messages wait to be looked at. The broker
	// waits then, too.
	maxWaiting = 16 << 20
	// share is how many of them a short message counts for.
	share = 4 << 10
)

// A feed hands messages on, in order, and holds so many bytes of those that
// nobody has taken yet. One goroutine may put.
type feed struct {
	room    chan struct{} // a place is taken for each share of what waits
	waiting chan Message
	out     chan Message
	done    chan struct{} // closed when nobody takes any more
}

// newFeed is a feed that runs until done is closed.
func newFeed(done chan struct{}) *feed {
	const places = maxWaiting / share
	f := &feed{room: make(chan struct{}, places), waiting: make(chan Message, places), out: make(chan Message), done: done}
	go f.run()
	return f
}

func shares(m Message) int { return 1 + len(m.Payload)/share }

// put takes a message in, once there is room for it.
func (f *feed) put(m Message) {
	for range shares(m) {
		select {
		case f.room <- struct{}{}:
		case <-f.done:
			return
		}
	}
	f.waiting <- m // its places were free
}

func (f *feed) run() {
	for {
		select {
		case m := <-f.waiting:
			select {
			case f.out <- m:
			case <-f.done:
				return
			}
			for range shares(m) {
				<-f.room
			}
		case <-f.done:
			return
		}
	}
}
