package agent

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ratchetd/ratchet/executor/step"
)

// renewBefore is how long before its end a certificate is to be renewed.
const renewBefore = 30 * 24 * time.Hour

// certificateKind is the kind that renews the link's certificate.
func (a *Agent) certificateKind() step.Certificate {
	c := a.config.Load()
	cert, key := c.certFiles()
	return step.Certificate{Cert: cert, Key: key, Device: c.Device,
		Pending: c.pendingKey(), Renew: a.link.restart,
		Now: func() (time.Time, bool) { return a.clock.Now(), a.clock.Sane() }}
}

// certFiles are where the link's certificate and its key lie. Where the link has
// none yet they lie where settings that come behind can name them.
func (c *Config) certFiles() (cert, key string) {
	return cmp.Or(c.Link.Cert, filepath.Join(c.dir, linkCert)), cmp.Or(c.Link.Key, filepath.Join(c.dir, linkKey))
}

func (c *Config) pendingKey() string { return filepath.Join(c.State, "pending.key") }

// secretPaths are all files that hold a secret of the link: those that are
// named, and those that an enrolment or a job has left where they could be.
func (c *Config) secretPaths() []string {
	_, key := c.certFiles()
	paths := []string{key, c.pendingKey()}
	for _, name := range []string{linkKey, linkPassword, linkSAS} {
		paths = append(paths, filepath.Join(c.dir, name))
	}
	return append(paths, c.secretFiles...)
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
		a.alerts.clear("certificate")
		return
	}
	pair, err := c.pair()
	switch {
	case err != nil: // the link tells of it
	case pair.Leaf.NotAfter.Sub(a.clock.Now()) < renewBefore:
		a.alerts.raise("certificate", "warning", fmt.Sprintf("link.cert ends on %s: renew it with a step of the kind certificate",
			pair.Leaf.NotAfter.UTC().Format("2006-01-02")))
	default:
		a.alerts.clear("certificate")
	}
}
