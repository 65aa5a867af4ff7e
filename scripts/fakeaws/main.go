// Command fakeaws is a fake of AWS IoT Jobs, to try devices with where there is
// no account. It speaks MQTT with devices and a small REST interface with you,
// and keeps nothing:
//
//	go run ./scripts/fakeaws
//	curl -X PUT --data-binary @document.json localhost:8886/things/gw-1/jobs/job1
//	curl -X PUT --data-binary @document.json 'localhost:8886/things/gw-1/jobs/job2?inProgressTimeoutInMinutes=30'
//	curl localhost:8886/things/gw-1
//	curl -X POST 'localhost:8886/jobs/job1/cancel?force=true'
//	curl -X DELETE localhost:8886/jobs/job1
//
// A device needs dialect = "aws", broker = "tcp://127.0.0.1:8885" and the
// thing's name as its device. With -tls certs it speaks TLS with certificates
// that it makes in that folder: broker = "tls://localhost:8885", ca = ca.crt, cert
// and key = device.crt and device.key. With -files URLs in placeholders of the form
// ${aws:iot:s3-presigned-url:https://BUCKET/FILE} are filled in and served.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/ratchetd/ratchet/scripts/fakeaws/jobs"
	"github.com/ratchetd/ratchet/scripts/fakecloud"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakeaws:", err)
		os.Exit(1)
	}
}

func run() error {
	s := &jobs.Service{}
	flag.StringVar(&s.Listen, "mqtt", "127.0.0.1:8885", "`address` for MQTT")
	flag.DurationVar(&s.Life, "life", time.Hour, "`time` for which a presigned URL is good")
	web := flag.String("rest", "127.0.0.1:8886", "`address` for the REST interface")
	certs := flag.String("tls", "", "`folder` to make certificates in, for TLS; empty: without TLS")
	thing := flag.String("thing", "gw-1", "`name` in the thing's certificate")
	files := flag.String("files", ".", "`folder` with the files of presigned URLs")
	flag.Parse()
	s.Files = "http://" + *web + "/files"
	if *certs != "" {
		config, err := fakecloud.TLS(*certs, *thing)
		if err != nil {
			return err
		}
		config.ClientAuth, config.NextProtos = tls.RequireAndVerifyClientCert, jobs.Protocols
		s.TLS = config
	}
	if err := s.Start(); err != nil {
		return err
	}
	defer s.Close()
	fmt.Printf("MQTT on %s, REST on http://%s\n", s.Address(), *web)
	server := &http.Server{Addr: *web, Handler: rest(s, *files), ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

// rest is the interface for who owns the fleet.
func rest(s *jobs.Service, files string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /things/{thing}/jobs/{job}", func(w http.ResponseWriter, r *http.Request) {
		if err := create(s, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /things/{thing}", func(w http.ResponseWriter, r *http.Request) {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(s.Executions(r.PathValue("thing"))) // whoever hung up does not mind
	})
	mux.HandleFunc("POST /jobs/{job}/cancel", func(_ http.ResponseWriter, r *http.Request) {
		s.Cancel(r.PathValue("job"), r.FormValue("force") == "true")
	})
	mux.HandleFunc("DELETE /jobs/{job}", func(_ http.ResponseWriter, r *http.Request) { s.Delete(r.PathValue("job")) })
	mux.Handle("GET /files/", s.Presigned(files))
	return mux
}

func create(s *jobs.Service, r *http.Request) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	j := jobs.Job{ID: r.PathValue("job"), Targets: []string{r.PathValue("thing")}, Document: string(text)}
	if minutes := r.URL.Query().Get("inProgressTimeoutInMinutes"); minutes != "" {
		n, err := strconv.ParseInt(minutes, 10, 64)
		if err != nil {
			return err
		}
		j.Timeout = &n
	}
	return s.Create(j)
}
