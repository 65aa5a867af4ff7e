// Command dataworker is as much of the agent as a data step needs: called with
// data.WorkerArg it is the worker, else it does the step whose parameters are
// its argument. The tests build it as the agent is built, without cgo.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/ratchetd/ratchet/executor"
	"github.com/ratchetd/ratchet/executor/step/data"
)

func main() {
	if os.Args[1] == data.WorkerArg {
		os.Exit(data.Worker(os.Stdin, os.Stdout, os.Stderr))
	}
	t := executor.NewTask(executor.Task{
		Job: "job", Step: "step", With: json.RawMessage(os.Args[1]), Attempt: 1,
		Output: os.Stdout, Err: os.Stderr, Log: slog.Default(),
	}, nil, func(json.RawMessage, bool) error { return nil }, func(float64) {})
	if err := (data.Kind{}).Run(context.Background(), t); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s\n", t.Result)
}
