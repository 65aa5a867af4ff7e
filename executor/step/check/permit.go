package check

import (
	"encoding/json"
	"errors"

	"github.com/ratchetd/ratchet/executor/step/policy"
)

// Permits checks what a check may run against the owner's policy.
func (c Check) Permits(p policy.Policy) error {
	if err := p.Program(c.argv); err != nil {
		return err
	}
	if err := c.reaches(p); err != nil {
		return err
	}
	return p.Program(c.Repair)
}

// reaches checks what a check reads or talks to against the owner's policy.
func (c Check) reaches(p policy.Policy) error {
	switch c.Kind {
	case "file":
		return p.Readable(c.text)
	case "http", "tcp":
		return p.Host(c.Host())
	}
	return nil
}

// Permit reads a step's check, which repairs nothing, and checks it against the
// owner's policy.
func Permit(p policy.Policy, raw json.RawMessage) error {
	c, err := Parse(raw)
	switch {
	case err != nil:
		return err
	case c.Repair != nil:
		return errors.New("repair: only a diagnostic repairs")
	}
	return c.Permits(p)
}
