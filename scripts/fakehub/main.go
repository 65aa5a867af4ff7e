// Command fakehub is a fake of Azure IoT Hub, to try devices with where there
// is no account. It speaks MQTT with devices and the hub's REST interface with
// you, keeps nothing, and lets in whom you name:
//
//	go run ./scripts/fakehub -device gw-1
//	curl localhost:8884/twins/gw-1
//	curl -X POST localhost:8884/devices/query -d '{"query": "SELECT COUNT() AS n FROM devices"}'
package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakehub/hub"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakehub:", err)
		os.Exit(1)
	}
}

func run() error {
	h := &hub.Hub{Host: "fake.azure-devices.net"}
	flag.StringVar(&h.Listen, "mqtt", "127.0.0.1:8883", "`address` for MQTT")
	flag.StringVar(&h.Web, "web", "", "`address` for MQTT over websockets")
	flag.BoolVar(&h.Basic, "basic", false, "be a hub of the basic tier, without twins and methods")
	service := flag.String("service", "127.0.0.1:8884", "`address` for the REST interface")
	devices := flag.String("device", "gw-1", "comma-separated `names` of devices")
	key := flag.String("key", base64.StdEncoding.EncodeToString([]byte("fake")), "their symmetric `key`, in base64")
	flag.Parse()
	secret, err := base64.StdEncoding.DecodeString(*key)
	if err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	if err := h.Start(); err != nil {
		return err
	}
	defer h.Close()
	for _, id := range strings.Split(*devices, ",") {
		h.AddDevice(id, secret)
		fmt.Printf("device %q, dialect \"azure\", hub %q, broker \"tcp://%s\", its sasKeyFile holds %s\n", id, h.Host, h.Address(), *key)
	}
	s := &http.Server{Addr: *service, Handler: h.Service(), ReadHeaderTimeout: 10 * time.Second}
	return s.ListenAndServe()
}
