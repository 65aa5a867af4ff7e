package azure

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/agent/dialect"
)

const (
	// apiVersion is of the hub's interface that this agent speaks.
	apiVersion = "2021-04-12"
	// webPath is where a hub serves MQTT over websockets.
	webPath = "/$iothub/websocket"
	// minToken is the shortest life of a token: the device must connect in it.
	minToken   = 5 * time.Second
	usualToken = time.Hour
)

// Service is Azure IoT Hub.
var Service = dialect.Service{
	Name:    "azure",
	Hosts:   []string{".azure-devices.net", ".azure-devices.cn"},
	Key:     true,
	Denied:  "a hub of the basic tier has no twins and no direct methods: the device needs one of the standard or free tier",
	Check:   check,
	Find:    func(s dialect.Settings) (string, []string) { return address(s.Broker), nil },
	Login:   login,
	Refused: refused,
}

// deviceID is what a hub takes, without what means something in topics or URLs.
var deviceID = regexp.MustCompile(`^[A-Za-z0-9:_.-]{1,128}$`)

func check(s dialect.Settings) error {
	var errs []error
	if s.Device != "" && !deviceID.MatchString(s.Device) {
		errs = append(errs, fmt.Errorf("device: %q: want the hub's device id: 1 to 128 of A-Z a-z 0-9 : _ . -", s.Device))
	}
	if s.Key == s.Cert {
		errs = append(errs, errors.New("link: the azure dialect wants link.sasKeyFile, or link.cert and link.key"))
	}
	if s.Username != "" || s.Password {
		errs = append(errs, errors.New("link.username and link.passwordFile: the azure dialect makes them itself"))
	}
	if s.TokenLife != 0 && s.TokenLife < minToken {
		errs = append(errs, fmt.Errorf("link.tokenLife: want %s or more", minToken))
	}
	return errors.Join(errs...)
}

// address is the broker's, with the path at which a hub serves websockets.
func address(broker string) string {
	u, err := url.Parse(broker)
	if err == nil && strings.HasPrefix(u.Scheme, "ws") && strings.Trim(u.Path, "/") == "" {
		u.Path = webPath
		return u.String()
	}
	return broker
}

// login names the hub, and proves by a token who the device is, unless its
// certificate does. A token is not renewed in place: at four fifths of its life
// the device connects again, with another.
func login(s dialect.Settings, secret string, now time.Time) (dialect.Login, error) {
	u, err := url.Parse(s.Broker)
	if err != nil {
		return dialect.Login{}, err
	}
	hub := cmp.Or(s.Hub, u.Hostname())
	l := dialect.Login{Username: hub + "/" + s.Device + "/?api-version=" + apiVersion}
	if !s.Key {
		return l, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(secret))
	if err != nil || len(key) == 0 {
		return dialect.Login{}, errors.New("link.sasKeyFile: want the device's key in base64, as the hub shows it")
	}
	until := now.Add(cmp.Or(s.TokenLife, usualToken)).Truncate(time.Second) // as the token has it
	l.Password = token(hub+"/devices/"+s.Device, key, until)
	l.Renew = until.Sub(now) / 5 * 4
	return l, nil
}

// token lets its holder speak as the resource until then.
func token(resource string, key []byte, until time.Time) string {
	resource = url.QueryEscape(resource)
	expiry := strconv.FormatInt(until.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(resource + "\n" + expiry))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(signature) + "&se=" + expiry
}

// refused guesses, for a hub never says why.
func refused(now time.Time) string {
	return "the hub refuses this device: is it registered there and enabled, is its key in link.sasKeyFile or its certificate in link.cert, and is this clock right, which says " +
		now.UTC().Format(time.RFC3339)
}

// ParseConnectionString reads what a hub shows for a device; ok is false for a
// text that is none.
func ParseConnectionString(text string) (host, device, key string, ok bool, err error) {
	if !strings.Contains(text, "SharedAccessKey=") {
		return "", "", "", false, nil
	}
	said := map[string]string{}
	for field := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(field, "=")
		said[name] = value
	}
	host, device, key = said["HostName"], said["DeviceId"], said["SharedAccessKey"]
	if host == "" || device == "" || key == "" || said["ModuleId"] != "" {
		return "", "", "", true, errors.New("want the connection string of a device: HostName, DeviceId and SharedAccessKey")
	}
	return host, device, key, true, nil
}
