package executor

// hide is text with the device's secrets hidden, and those filled in for t.
func (w *walk) hide(t *Task, text string) string {
	return w.Device.Mask(t.secrets.Hide(text))
}

// hidden is an error whose text has its secrets hidden.
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
