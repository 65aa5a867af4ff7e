package config

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// azureVersion is of the hub's interface that this agent speaks.
	azureVersion = "2021-04-12"
	// azurePath is where a hub serves MQTT over websockets.
	azurePath = "/$iothub/websocket"
	// minToken is the shortest life of a token: the device must connect in it.
	minToken   = 5 * time.Second
	usualToken = time.Hour
)

// azureLogin names the hub, and proves who the device is by a token, unless its
// certificate does. A token is not renewed in place: at four fifths of its life
// the device connects anew, with another.
func (c *Config) azureLogin(now time.Time) (login, error) {
	hub := c.Link.HubName()
	l := login{Username: hub + "/" + c.Device + "/?api-version=" + azureVersion}
	if c.Link.SASKeyFile == "" {
		return l, nil
	}
	text, err := c.sasKey()
	if err != nil {
		return login{}, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return login{}, errors.New("link.sasKeyFile: want the device's key in base64, as the hub shows it")
	}
	life := cmp.Or(time.Duration(c.Link.TokenLife), usualToken)
	until := now.Add(life).Truncate(time.Second) // as the token has it
	l.Password = sasToken(hub+"/devices/"+c.Device, key, until)
	l.Renew = until.Sub(now) / 5 * 4
	return l, nil
}

// sasKey is what link.sasKeyFile holds.
func (c *Config) sasKey() (string, error) {
	if c.Link.SASKeyFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(c.Link.SASKeyFile)
	if err != nil {
		return "", fmt.Errorf("link.sasKeyFile: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// HubName is its name, in tokens and user names.
func (l *Link) HubName() string {
	u, err := url.Parse(l.Broker)
	if err != nil {
		return l.Hub
	}
	return cmp.Or(l.Hub, u.Hostname())
}

// sasToken lets its holder speak as the resource until then.
func sasToken(resource string, key []byte, until time.Time) string {
	resource = url.QueryEscape(resource)
	expiry := strconv.FormatInt(until.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(resource + "\n" + expiry))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(signature) + "&se=" + expiry
}

// Address is the broker's, with the path where a hub has its websockets.
func (l *Link) Address() string {
	u, err := url.Parse(l.Broker)
	if err == nil && l.Dialect == "azure" && strings.HasPrefix(u.Scheme, "ws") && strings.Trim(u.Path, "/") == "" {
		u.Path = azurePath
		return u.String()
	}
	return l.Broker
}

// validateAzure holds the link against what a hub wants.
func (l *Link) validateAzure() error {
	var errs []error
	if (l.SASKeyFile == "") == (l.Cert == "") {
		errs = append(errs, errors.New("link: the azure dialect wants link.sasKeyFile, or link.cert and link.key"))
	}
	if l.Username != "" || l.PasswordFile != "" {
		errs = append(errs, errors.New("link.username and link.passwordFile: the azure dialect makes them itself"))
	}
	if l.TokenLife != 0 && time.Duration(l.TokenLife) < minToken {
		errs = append(errs, fmt.Errorf("link.tokenLife: want %s or more", minToken))
	}
	return errors.Join(errs...)
}

// ExplainAzure says what may be behind a hub's refusal: it never tells.
func ExplainAzure(err error, now time.Time) error {
	return fmt.Errorf("the hub refuses this device: is it registered there and enabled, is its key in link.sasKeyFile or its certificate in link.cert, and is this clock right, which says %s: %w",
		now.UTC().Format(time.RFC3339), err)
}

// Hint adds what may be behind a right that a hub does not grant.
func (l *Link) Hint(err error) error {
	if l.Dialect == "aws" {
		return fmt.Errorf("%w (add those rights to the policy of this thing's certificate; what only brings answers can do without: aws.replies, aws.defender)", err)
	}
	if l.Dialect != "azure" {
		return err
	}
	return fmt.Errorf("%w (a hub of the basic tier has no twins and no direct methods: the device needs one of the standard or free tier)", err)
}
