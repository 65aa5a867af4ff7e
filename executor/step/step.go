// Package step holds the small kinds of steps that a device can do, one file
// each; a kind that has grown lies in a folder of its own beside them, where its
// type is called Kind. Each is a struct whose zero value is of use, and each ends
// in the same place however often it is cut on the way: package steptest proves
// that, for all of them in conformance.
//
// It decides nothing about a job: order, retries, interruptions and timeouts
// that a job gives are the executor's. It keeps nothing but what a step needs
// to go on or to be undone, and that in the Task.
package step
