package intake

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"aead.dev/minisign"

	"github.com/ratchetd/ratchet/agent/config"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// verify tells which of the owner's keys signed text, and when. Without keys in
// the policy everybody is believed and nobody has signed.
func (j *Judge) verify(text []byte, signature string) (by string, at time.Time, err error) {
	keys := j.Config.Load().Policy.Keys
	if len(keys) == 0 {
		return "", at, nil
	}
	if signature == "" {
		return "", at, errors.New("signature: policy.keys is set, so only signed jobs are taken: sign it with one of those keys")
	}
	var s minisign.Signature
	if err := s.UnmarshalText([]byte(signature)); err != nil {
		return "", at, fmt.Errorf("signature: %w", err)
	}
	for _, k := range keys {
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(k)); err != nil {
			return "", at, fmt.Errorf("policy.keys: %w", err)
		}
		if key.ID() == s.KeyID && minisign.Verify(key, text, []byte(signature)) {
			at = signedAt(s.TrustedComment)
			if err := j.Clock.Believable(at); err != nil {
				return "", at, fmt.Errorf("signature: %w", err)
			}
			return fmt.Sprintf("%016X", s.KeyID), at, nil
		}
	}
	return "", at, fmt.Errorf("signature: none of policy.keys made it (it names key %016X)", s.KeyID)
}

// signedAt is when a signature was made, as minisign notes it in what it signs
// along; zero when it does not say.
func signedAt(comment string) time.Time {
	_, rest, _ := strings.Cut(comment, "timestamp:")
	number, _, _ := strings.Cut(strings.ReplaceAll(rest, "\t", " "), " ")
	const most = 1 << 37 // beyond the year 6000 a time is none that can be written down
	if sec, err := strconv.ParseInt(number, 10, 64); err == nil && sec > 0 {
		return time.Unix(min(sec, most), 0)
	}
	return time.Time{}
}

// bounded checks a signed job against what keeps a broker from replaying it or
// handing it to somebody else.
func bounded(job executor.Job, by string) error {
	switch {
	case by == "":
		return nil
	case job.Expires.IsZero():
		return errors.New("expires: a signed job needs it")
	case len(job.Audience) == 0:
		return errors.New("audience: a signed job needs it: whom it is meant for")
	}
	return nil
}

// doneBefore refuses a signed job that has succeeded here, where its service can
// begin the same one as often as it likes: the owner signed it once. One that
// failed may be tried again; one that was signed again is another.
func (j *Judge) doneBefore(o dialect.Offer, by string, signed time.Time) error {
	if by == "" || o.Key == "" {
		return nil
	}
	records, err := j.DB.Records()
	digest := executor.Digest(o.Text)
	for _, r := range records {
		was := r.Signed
		if was.IsZero() { // that is not kept for ever
			was = r.Ended
		}
		if r.ID == o.ID && r.Digest == digest && r.State == executor.Succeeded && !signed.After(was.Time) {
			return errors.New("signature: what it signed was done here already, as an earlier execution of this job: to have it done once more, sign it again")
		}
	}
	return err
}

// verifyCancel checks a cancel against the owner's keys, and tells when it was
// signed. A broker may keep it, and bring it to others: so it must expire; its
// audience, which ratchet writes and others may leave out, says for whom it is,
// and its time for which jobs of that id.
func (j *Judge) verifyCancel(c dialect.Cancel) (at time.Time, err error) {
	device := j.Config.Load()
	by, at, err := j.verify(c.Text, c.Signature)
	switch {
	case err != nil && c.Signature == "":
		return at, fmt.Errorf("signature: policy.keys is set, so only signed cancels are taken: make one with "+
			"ratchet cancel %s --to device/%s --sign KEY --print >FILE, and give it to ratchetd cancel %s FILE", c.ID, device.Device, c.ID)
	case err != nil:
		return at, err
	case !dialect.Addressed(c.Audience, device.Device, device.Groups):
		return at, fmt.Errorf("audience: this device, %s, is not among those the author meant", device.Device)
	case by == "":
		return at, nil
	case c.Expires.IsZero():
		return at, errors.New("expires: a signed cancel needs it")
	case !j.Clock.Now().Before(c.Expires.Time):
		return at, errors.New("expires: it is over")
	}
	return at, nil
}

// Trusted reports whether the key that signed an accepted job is still one of the
// owner's.
func (j *Judge) Trusted(r executor.Record) error {
	keys := j.Config.Load().Policy.Keys
	if len(keys) == 0 || named(r) || slices.ContainsFunc(keys, func(k string) bool { return config.KeyID(k) == r.By }) {
		return nil
	}
	return errors.New("policy.keys: the key that signed this job is not in the policy any more")
}

// maySetKeys tells why a job may not change who may sign: only somebody who may
// sign himself can.
func maySetKeys(job executor.Job, by string) error {
	for i := range job.Total() {
		if s := job.StepAt(i); by == "" && s.Kind == "keys" {
			return fmt.Errorf("step %s: keys: only a signed job may change which keys may sign, on a device where policy.keys is set", s.Name)
		}
	}
	return nil
}
