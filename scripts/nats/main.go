// Nats keeps what is retained readable at every node of a cluster of NATS servers
// when one of them dies.
//
// Each node learns what is retained from a consumer of the stream $MQTT_rmsgs. NATS
// server 2.14 and 2.15 put it on one node of the cluster, any. When that node dies,
// the one whose consumer it was goes on to answer with what it had seen by then:
// new jobs and statuses stay hidden from whoever subscribes there, until the other is
// back. This gives each such consumer three replicas.
//
// A node that starts makes a new one when the first client of MQTT connects, so
// it is to be run again and again, by a timer, say:
//
//	go run ./scripts/nats 127.0.0.1:4222
//
// It prints each consumer that it changed.
package main

import (
	"fmt"
	"os"
)

const replicas = 3

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: nats HOST:PORT    where a node listens for clients of NATS, without TLS and users")
		os.Exit(2)
	}
	changed, err := replicate(os.Args[1])
	for _, name := range changed {
		fmt.Printf("%s has %d replicas now\n", name, replicas)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "nats: %v\n", err)
		os.Exit(1)
	}
}

// replicate gives every consumer of what is retained its replicas, and names those
// that lacked them.
func replicate(node string) (changed []string, err error) {
	names, err := ask[struct{ Consumers []string }](node, "CONSUMER.NAMES.$MQTT_rmsgs", nil)
	if err != nil {
		return nil, err
	}
	for _, name := range names.Consumers {
		is, err := ask[consumer](node, "CONSUMER.INFO.$MQTT_rmsgs."+name, nil)
		if err != nil {
			return changed, err
		}
		if n, _ := is.Config["num_replicas"].(float64); n == replicas {
			continue
		}
		is.Config["num_replicas"] = replicas
		want := map[string]any{"stream_name": "$MQTT_rmsgs", "config": is.Config, "action": "update"}
		if _, err := ask[consumer](node, "CONSUMER.CREATE.$MQTT_rmsgs."+name, want); err != nil {
			return changed, err
		}
		changed = append(changed, name)
	}
	return changed, nil
}

// A consumer is what the API tells of one.
type consumer struct {
	Config  map[string]any
	Cluster struct{ Leader string } // the name of the node that runs it
}
