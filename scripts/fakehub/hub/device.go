package hub

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	mochi "github.com/mochi-mqtt/server/v2"
)

// A Device is what the registry shows and takes [registry].
type Device struct {
	ID             string         `json:"deviceId"`
	Generation     string         `json:"generationId,omitempty"`
	ETag           string         `json:"etag,omitempty"`
	Status         string         `json:"status"`
	Connection     string         `json:"connectionState,omitempty"`
	Waiting        int            `json:"cloudToDeviceMessageCount"`
	Authentication Authentication `json:"authentication"`
}

// Authentication is a device's: by sas with two keys, or by selfSigned or
// certificateAuthority with a certificate.
type Authentication struct {
	Type string `json:"type"`
	Keys struct {
		Primary   string `json:"primaryKey"`
		Secondary string `json:"secondaryKey"`
	} `json:"symmetricKey"`
}

func (d *device) etag() string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(d.changes)))
}

func (d *device) status() string {
	if d.disabled {
		return "disabled"
	}
	return "enabled"
}

func (d *device) authentication() string {
	if d.keys == nil {
		return "selfSigned"
	}
	return "sas"
}

// AddDevice registers a device with its symmetric key, or, without one, a
// device that comes with a certificate for that name. One that is registered
// gets another key, and keeps its twin.
func (h *Hub) AddDevice(id string, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.devices[id]
	if d == nil {
		h.rids++
		d = &device{id: id, generation: h.rids, applied: map[string]string{}, twin: newTwin()}
		h.devices[id] = d
	}
	d.changes++
	if d.keys = nil; key != nil {
		d.keys = [][]byte{key}
	}
}

// Disable lets the device in no more.
func (h *Hub) Disable(id string, disabled bool) {
	h.mu.Lock()
	h.devices[id].disabled = disabled
	h.devices[id].changes++
	h.mu.Unlock()
	if disabled {
		h.Drop(id, "the device is disabled")
	}
}

// Device is a registered one.
func (h *Hub) Device(id string) (Device, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.devices[id]
	if d == nil {
		return Device{}, noDevice(id)
	}
	return d.shown(h.Client(id)), nil
}

// Devices are all that are registered, by id.
func (h *Hub) Devices() []Device {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Device{}
	for _, id := range slices.Sorted(maps.Keys(h.devices)) {
		list = append(list, h.devices[id].shown(h.Client(id)))
	}
	return list
}

func (d *device) shown(cl *mochi.Client) Device {
	v := Device{ID: d.id, Generation: strconv.Itoa(d.generation), ETag: d.etag(), Status: d.status(), Connection: stateOf(cl != nil), Waiting: len(d.bound)}
	v.Authentication.Type = d.authentication()
	for i, to := range []*string{&v.Authentication.Keys.Primary, &v.Authentication.Keys.Secondary} {
		if i < len(d.keys) {
			*to = base64.StdEncoding.EncodeToString(d.keys[i])
		}
	}
	return v
}

// Register registers a device or, with its etag or "*" for match, changes a
// registered one, which keeps its twin. Without keys the hub makes some.
func (h *Hub) Register(v Device, match string) error {
	keys, err := v.keys()
	if err != nil {
		return err
	}
	if !deviceForm.MatchString(v.ID) || v.Status != "" && v.Status != "enabled" && v.Status != "disabled" {
		return refuse(400, "ArgumentInvalid", "deviceId %q, status %q", v.ID, v.Status)
	}
	h.mu.Lock()
	d := h.devices[v.ID]
	switch {
	case d != nil && match == "":
		err = refuse(409, "DeviceAlreadyExists", "the device %q is registered", v.ID)
	case d == nil && match != "":
		err = noDevice(v.ID)
	case d != nil:
		err = matches(match, d.etag())
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	h.AddDevice(v.ID, nil)
	h.mu.Lock()
	h.devices[v.ID].keys = keys
	h.mu.Unlock()
	h.Disable(v.ID, v.Status == "disabled")
	h.configure()
	return nil
}

// keys are those of a device; nil for one with a certificate.
func (v Device) keys() ([][]byte, error) {
	switch v.Authentication.Type {
	case "selfSigned", "certificateAuthority":
		return nil, nil
	case "", "sas":
	default:
		return nil, refuse(400, "ArgumentInvalid", "authentication.type %q", v.Authentication.Type)
	}
	keys := [][]byte{}
	for i, text := range []string{v.Authentication.Keys.Primary, v.Authentication.Keys.Secondary} {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, refuse(400, "ArgumentInvalid", "authentication.symmetricKey: %v", err)
		}
		if text == "" {
			key = fmt.Appendf(nil, "key %d of %s", i+1, v.ID)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Unregister forgets a device with its twin, and ends its connection.
func (h *Hub) Unregister(id, match string) error {
	h.mu.Lock()
	d := h.devices[id]
	err := noDevice(id)
	if d != nil {
		err = matches(match, d.etag())
	}
	if err == nil {
		delete(h.devices, id)
	}
	h.mu.Unlock()
	if err == nil {
		h.Drop(id, "the device is not registered any more")
	}
	return err
}

// matches checks what a caller says in If-Match: nothing and "*" are for any.
func matches(match, etag string) error {
	if text, err := strconv.Unquote(match); err == nil {
		match = text
	}
	if match == "" || match == "*" || match == etag {
		return nil
	}
	return refuse(412, "PreconditionFailed", "the etag is %q", etag)
}

// decode reads what a caller sent.
func decode(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return refuse(400, "ArgumentInvalid", "%v", err)
	}
	return nil
}
