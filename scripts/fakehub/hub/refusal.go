package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// A Refusal is what a service hears instead of an answer: a status of HTTP, and
// the hub's word for it.
type Refusal struct {
	Status     int
	Code, Text string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Text) }

func refuse(status int, code, format string, args ...any) error {
	return &Refusal{status, code, fmt.Sprintf(format, args...)}
}

// What a service hears of a method that was not answered [methods].
var (
	ErrOffline = refuse(http.StatusNotFound, "DeviceNotOnline", "the device is not online")
	ErrTimeout = refuse(http.StatusGatewayTimeout, "GatewayTimeout", "the device has not answered in time")
)

func noDevice(id string) error {
	return refuse(http.StatusNotFound, "DeviceNotFound", "the device %q is not registered", id)
}

// write answers with the refusal, as the hub has it: Message holds the code.
// Whatever is no Refusal is what was wrong with a request.
func write(w http.ResponseWriter, err error) {
	r := &Refusal{Status: http.StatusBadRequest, Code: "ArgumentInvalid", Text: err.Error()}
	errors.As(err, &r)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("iothub-errorcode", r.Code)
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Message": "ErrorCode:" + r.Code + ";" + r.Text, "ExceptionMessage": r.Text}) // a caller that is gone misses nothing
}
