package aws

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

// Service is AWS IoT Core.
var Service = dialect.Service{
	Name:     "aws",
	Hosts:    []string{".amazonaws.com", ".amazonaws.com.cn"},
	Proof:    "--cert: AWS IoT wants a certificate: ratchetd enroll --csr makes a request for one",
	OneByOne: true,
	Metrics:  true,
	Read:     "iot:Subscribe on topicfilter/",
	Write:    "iot:Publish on topic/",
	Denied:   "add those rights to the policy of this thing's certificate; what only brings answers can do without: aws.replies, aws.defender",
	Check:    check,
	Find:     func(s dialect.Settings) (string, []string) { return s.Broker, protocols(s) },
	Login:    dialect.PasswordLogin,
	Refused:  refused,
}

// thingName is what the registry takes for a thing; the name is a level of topics.
var thingName = regexp.MustCompile(`^[A-Za-z0-9:_-]{1,128}$`)

func check(s dialect.Settings) error {
	var errs []error
	switch {
	case s.Device == "":
		errs = append(errs, errors.New("device: want the name of the thing in AWS IoT"))
	case !thingName.MatchString(s.Device):
		errs = append(errs, fmt.Errorf("device: %q: want the name of a thing: 1 to 128 of A-Z a-z 0-9 : _ -", s.Device))
	}
	return errors.Join(append(errs, dialect.CheckNoKey(s))...)
}

// protocols is what TLS must ask for on port 443, which MQTT shares with HTTPS:
// one name for a device with a certificate, one with a custom authorizer.
func protocols(s dialect.Settings) []string {
	u, err := url.Parse(s.Broker)
	switch {
	case err != nil || u.Scheme != "tls" || u.Port() != "443":
		return nil
	case s.Cert:
		return []string{"x-amzn-mqtt-ca"}
	}
	return []string{"mqtt"}
}

// refused guesses, for AWS IoT says at most that it refuses.
func refused(time.Time) string {
	return "AWS IoT refuses this device: is its certificate (link.cert) active, and does the certificate's policy allow iot:Connect on client/ and the thing's name (device); " +
		"with a custom authorizer, are link.username and link.passwordFile right"
}
