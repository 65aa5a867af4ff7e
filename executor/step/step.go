// Package step holds the kinds of steps that a device can do: command,
// download, file and reboot, one file each. Each is a struct whose zero value
// is of use, and each ends in the same place however often it is cut on the
// way; package steptest proves that.
//
// It decides nothing about a job: order, retries, interruptions and timeouts
// that a job gives are the executor's. It keeps nothing but what a step needs
// to go on or to be undone, and that in the Task.
package step
