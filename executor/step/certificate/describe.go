package certificate

import "github.com/ratchetd/ratchet/executor"

// Describe implements executor.Describer.
func (k Kind) Describe(s executor.Step) executor.Description {
	p := executor.ReadParams(s.With)
	d := executor.Description{
		Does: "installs a signed certificate",
		Cut:  "it goes on; at every moment there is a certificate with its key",
		Undo: "the old certificate and key are put back",
	}
	if p["request"] != nil {
		d.Does = "makes a new key on the device and a request for its certificate"
	}
	if p["install"] != nil {
		d.Trial = executor.Reconnected
	}
	return d
}
