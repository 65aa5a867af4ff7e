package plain

import (
	"errors"
	"fmt"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/executor"
)

// Service is any MQTT broker.
var Service = dialect.Service{
	Name:    "plain",
	Direct:  true,
	Check:   check,
	Find:    func(s dialect.Settings) (string, []string) { return s.Broker, nil },
	Login:   dialect.PasswordLogin,
	Refused: dialect.PasswordRefused,
}

func check(s dialect.Settings) error {
	var errs []error
	if s.Device != "" && !executor.ValidDevice(s.Device) {
		errs = append(errs, fmt.Errorf("device: %q: want 1 to 64 of A-Z a-z 0-9 _ . -", s.Device))
	}
	return errors.Join(append(errs, dialect.CheckNoKey(s))...)
}
