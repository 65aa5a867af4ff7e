package hub

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// apiVersions are those of the hub's interface that were published. Which of
// them a hub still takes is not documented.
var apiVersions = []string{"2016-02-03", "2016-11-14", "2017-06-30", "2018-01-16", "2018-04-01", "2018-06-30", "2018-08-30-preview",
	"2019-03-30", "2019-07-01-preview", "2019-10-01", "2020-03-01", "2020-03-13", "2020-05-31-preview", "2020-09-30", "2021-04-12"}

// admit says why a device is not let in.
func (h *Hub) admit(cl *mochi.Client, p packets.Packet) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := p.Connect.ClientIdentifier
	d, ok := h.devices[id]
	switch {
	case !ok:
		return errors.New("there is no such device")
	case d.disabled:
		return errors.New("the device is disabled")
	}
	if err := h.userName(id, string(p.Connect.Username)); err != nil {
		return err
	}
	// [mqtt]: a will is a D2C message, on such a topic.
	if p.Connect.WillFlag && !strings.HasPrefix(p.Connect.WillTopic, "devices/"+id+"/messages/events/") {
		return errors.New("the will is on " + p.Connect.WillTopic)
	}
	until, err := h.credentials(d, cl, string(p.Connect.Password))
	if err == nil {
		d.until = until
	}
	return err
}

// userName is {hub}/{device}/?api-version=..., perhaps with more parameters [mqtt].
func (h *Hub) userName(id, name string) error {
	query, ok := strings.CutPrefix(name, h.Host+"/"+id+"/?")
	if !ok {
		return fmt.Errorf("the user name is %q", name)
	}
	if v, err := url.ParseQuery(query); err != nil || !slices.Contains(apiVersions, v.Get("api-version")) {
		return fmt.Errorf("the user name %q names no api-version that there is", name)
	}
	return nil
}

// credentials are a certificate for the device's name and no password, or a
// token [mqtt, sas]. It returns when they expire.
func (h *Hub) credentials(d *device, cl *mochi.Client, password string) (time.Time, error) {
	if d.keys != nil {
		return checkToken(password, h.Host+"/devices/"+d.id, d.keys, h.Now())
	}
	switch name := peerName(cl); {
	case password != "":
		return time.Time{}, errors.New("a device with a certificate gave a password")
	case name != d.id:
		return time.Time{}, fmt.Errorf("the certificate is for %q", name)
	}
	return time.Time{}, nil
}

// peerName is what the client's certificate is for.
func peerName(cl *mochi.Client) string {
	var state tls.ConnectionState
	switch c := cl.Net.Conn.(type) {
	case *tls.Conn:
		state = c.ConnectionState()
	case *webConn:
		state = c.tls
	}
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// checkToken is [sas]: "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}",
// the signature an HMAC-SHA256 with the key over "{resource}\n{expiry}", the
// resource as it stands there, URL-encoded.
func checkToken(token, resource string, keys [][]byte, now time.Time) (time.Time, error) {
	rest, ok := strings.CutPrefix(token, "SharedAccessSignature ")
	if !ok {
		return time.Time{}, errors.New("the password is no token")
	}
	v, err := url.ParseQuery(rest)
	if err != nil {
		return time.Time{}, err
	}
	if v.Get("sr") != resource {
		return time.Time{}, fmt.Errorf("the token is for %q", v.Get("sr"))
	}
	sec, err := strconv.ParseInt(v.Get("se"), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the token's expiry: %w", err)
	}
	signed := func(key []byte) bool {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s\n%d", url.QueryEscape(resource), sec)
		return v.Get("sig") == base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	if !slices.ContainsFunc(keys, signed) {
		return time.Time{}, errors.New("the token's signature is not the key's")
	}
	until := time.Unix(sec, 0)
	if !now.Before(until) {
		return time.Time{}, fmt.Errorf("the token expired at %s, and it is %s", until.UTC(), now.UTC())
	}
	return until, nil
}
