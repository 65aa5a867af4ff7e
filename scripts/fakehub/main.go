// Command fakehub is a fake of Azure IoT Hub, to try devices with where there
// is no account. It speaks MQTT with devices and the hub's REST interface with
// you, keeps nothing, and lets in whom you name:
//
//	go run ./scripts/fakehub -device gw-1
//	curl 'localhost:8884/twins/gw-1?api-version=2021-04-12'
//	curl 'localhost:8884/devices/query?api-version=2021-04-12' -d '{"query": "SELECT COUNT() AS n FROM devices"}'
//
// With -tls certs it speaks TLS, with devices and with you, by certificates that
// it makes in that folder: ca.crt vouches for it, device.crt and device.key are
// those of the first device.
package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakecloud"
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
	certs := flag.String("tls", "", "`folder` to make certificates in, for TLS; empty: without TLS")
	flag.Parse()
	names, scheme := strings.Split(*devices, ","), "tcp"
	secret, err := base64.StdEncoding.DecodeString(*key)
	if err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	if *certs != "" {
		scheme = "tls"
		if h.TLS, err = fakecloud.TLS(*certs, names[0]); err != nil {
			return err
		}
	}
	if err := h.Start(); err != nil {
		return err
	}
	defer h.Close()
	for _, id := range names {
		h.AddDevice(id, secret)
		fmt.Printf("device %q, dialect \"azure\", hub %q, broker \"%s://%s\", its sasKeyFile holds %s\n", id, h.Host, scheme, h.Address(), *key)
	}
	s := &http.Server{Addr: *service, Handler: h.Service(), TLSConfig: h.TLS, ReadHeaderTimeout: 10 * time.Second}
	if h.TLS != nil {
		return s.ListenAndServeTLS("", "")
	}
	return s.ListenAndServe()
}
