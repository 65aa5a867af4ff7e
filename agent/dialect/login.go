package dialect

import (
	"errors"
	"time"
)

// A Service is what a dialect knows of the service it speaks with before there
// is a connection: how to find it, whom it lets in, and what its refusals mean.
// Its functions are pure. Where texts name settings, they are the keys of
// ratchet.toml.
type Service struct {
	// Name is the value of link.dialect.
	Name string
	// Hosts are the ends of the host names at which the service is found. A name
	// that ends in none of any dialect is that of an MQTT broker.
	Hosts []string
	// Direct says that the operator's tool talks with the same broker.
	Direct bool
	// Key says that a device without a certificate logs in with a key of its own
	// (link.sasKeyFile), and not with a password.
	Key bool
	// Proof is what to ask for where an enrolment names neither a certificate nor a
	// token; empty where the service may let such a device in.
	Proof string
	// OneByOne says that a job comes only when the one before it is over, so that no
	// job can wait for another.
	OneByOne bool
	// Metrics says that the service takes Metrics.
	Metrics bool
	// Read and Write name the right to a topic, which follows them, as the service's
	// policies call it; empty where there are no such policies.
	Read, Write string
	// Denied is what may be behind a right that was not granted, or empty.
	Denied string

	// Check reports what is wrong with the settings, in one error for each line.
	Check func(Settings) error
	// Find is the address to connect to, and the protocols that TLS asks for there.
	Find func(Settings) (address string, protocols []string)
	// Login is what the device logs in with now, besides its certificate. secret is
	// the key or the password, or empty.
	Login func(s Settings, secret string, now time.Time) (Login, error)
	// Refused says what may be behind a refused login.
	Refused func(now time.Time) string
}

// Settings are those of the link that depend on the service.
type Settings struct {
	Device, Broker, Hub, Username string
	Cert, Password, Key           bool          // link.cert, link.passwordFile and link.sasKeyFile are set
	TokenLife                     time.Duration // 0: not set
}

// Login is what a device logs in with. Renew is after how long it must log in
// again with another password; 0 is never.
type Login struct {
	Username, Password string
	Renew              time.Duration
}

// Right is the right to a topic as the service's policies call it, in brackets
// behind a space, or empty. action is Read or Write of the Service.
func Right(action, topic string) string {
	if action == "" {
		return ""
	}
	return " (" + action + topic + ")"
}

// What services share that let a device in by a user's name and a password.

// PasswordLogin is a Service's Login.
func PasswordLogin(s Settings, secret string, _ time.Time) (Login, error) {
	return Login{Username: s.Username, Password: secret}, nil
}

// PasswordRefused is a Service's Refused.
func PasswordRefused(time.Time) string {
	return "the broker refuses these credentials: check link.username, link.passwordFile and link.cert"
}

// CheckNoKey is the part of a Service's Check that refuses a device's own key.
func CheckNoKey(s Settings) error {
	if s.Key {
		return errors.New("link.sasKeyFile: it is for the azure dialect")
	}
	return nil
}
