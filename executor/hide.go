package executor

// hide hides what this device keeps secret, and what was filled in for t, in
// whatever t has to say.
func (w *walk) hide(t *Task, text string) string {
	return w.Device.Mask(t.secrets.Hide(text))
}

// hidden is an error that is told with its secrets hidden.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// hideError is err with its secrets hidden; nil stays nil.
func (w *walk) hideError(t *Task, err error) error {
	if err == nil {
		return nil
	}
	return hidden{err, w.hide(t, err.Error())}
}
