package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor/step/certificate"
)

// renewBefore is how long before its end a certificate is to be renewed.
const renewBefore = 30 * 24 * time.Hour

// certificateKind is the kind that renews the link's certificate.
func (a *Agent) certificateKind() certificate.Kind {
	c := a.config.Load()
	cert, key := c.CertFiles()
	return certificate.Kind{Cert: cert, Key: key, Device: c.Device,
		Pending: c.PendingKey(), Renew: a.link.Restart,
		Now: func() (time.Time, bool) { return a.clock.Now(), a.clock.Sane() }}
}

// watchCertificate looks at the link's certificate once a day; every connection
// does too.
func (a *Agent) watchCertificate(ctx context.Context) error {
	for {
		a.judgeCertificate()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(24 * time.Hour):
		}
	}
}

// judgeCertificate raises or clears the alert that the certificate ends soon.
func (a *Agent) judgeCertificate() {
	c := a.config.Load()
	if c.Link.Cert == "" {
		a.alerts.Clear("certificate")
		return
	}
	pair, err := c.Pair()
	switch {
	case err != nil: // the link tells of it
	case pair.Leaf.NotAfter.Sub(a.clock.Now()) < renewBefore:
		a.alerts.Raise("certificate", "warning", fmt.Sprintf("link.cert ends on %s: renew it with a step of the kind certificate",
			pair.Leaf.NotAfter.UTC().Format("2006-01-02")))
	default:
		a.alerts.Clear("certificate")
	}
}
