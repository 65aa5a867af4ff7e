package dialect

import "strings"

// Topic names one place below the root, for an operator as for a device. It
// is an offer, with To; or what a device says of itself, with Device and Part; or
// a rollout, which no device reads, with Part alone. A + for a name makes it a
// filter.
type Topic struct {
	To     string // of an offer: device/ID, group/NAME or all
	Device string // who says it
	Part   string // state, facts, jobs, health, alerts, logs or data; or rollouts
	Name   string // the job's id or the alert's name; none for state, facts and health
}

// Rollouts is the Part of a rollout.
const Rollouts = "rollouts"

// named tells for each part of what a device says whether a name follows it.
var named = map[string]bool{"state": false, "facts": false, "health": false,
	"jobs": true, "alerts": true, "logs": true, "data": true}

// Below writes the topic's full name.
func (t Topic) Below(root string) string {
	switch {
	case t.To != "":
		return root + "/jobs/" + t.To + "/" + t.Name
	case t.Part == Rollouts:
		return root + "/" + Rollouts + "/" + t.Name
	case named[t.Part]:
		return root + "/device/" + t.Device + "/" + t.Part + "/" + t.Name
	}
	return root + "/device/" + t.Device + "/" + t.Part
}

// ParseTopic reads what Below wrote; false means that it is none of ours.
func ParseTopic(root, topic string) (Topic, bool) {
	rest, ok := strings.CutPrefix(topic, root+"/")
	if !ok {
		return Topic{}, false
	}
	levels := strings.Split(rest, "/")
	for _, level := range levels {
		if level == "" {
			return Topic{}, false
		}
	}
	switch {
	case levels[0] == "jobs":
		return parseOffer(levels[1:])
	case levels[0] == Rollouts && len(levels) == 2:
		return Topic{Part: Rollouts, Name: levels[1]}, true
	}
	return parseReport(levels)
}

func parseOffer(levels []string) (Topic, bool) {
	switch {
	case len(levels) == 2 && levels[0] == "all":
		return Topic{To: "all", Name: levels[1]}, true
	case len(levels) == 3 && (levels[0] == "device" || levels[0] == "group"):
		return Topic{To: levels[0] + "/" + levels[1], Name: levels[2]}, true
	}
	return Topic{}, false
}

func parseReport(levels []string) (Topic, bool) {
	if len(levels) < 3 || levels[0] != "device" {
		return Topic{}, false
	}
	t := Topic{Device: levels[1], Part: levels[2]}
	needsName, known := named[t.Part]
	if len(levels) == 4 {
		t.Name = levels[3]
	}
	return t, known && len(levels) <= 4 && needsName == (t.Name != "")
}

// OfferFilters match every offer of one job, whomever it is for. The id + is
// for all jobs.
func OfferFilters(root, id string) []string {
	var filters []string
	for _, to := range []string{"device/+", "group/+", "all"} {
		filters = append(filters, Topic{To: to, Name: id}.Below(root))
	}
	return filters
}
