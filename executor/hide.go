package executor

// hide is text with the device's secrets hidden, and those that were filled in.
func (a *attempt) hide(text string) string {
	return a.w.Device.Mask(a.task.secrets.Hide(text))
}

// hidden is an error whose text has its secrets hidden.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// hideError is err with its secrets hidden; nil stays nil.
func (a *attempt) hideError(err error) error {
	if err == nil {
		return nil
	}
	return hidden{err, a.hide(err.Error())}
}
