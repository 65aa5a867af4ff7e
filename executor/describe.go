package executor

import "cmp"

// A Describer says what its kind does: in words, for explain, and where its
// parameters take values that the device fills in. Of another kind only the name
// is told, and nothing is filled in.
type Describer interface {
	Describe(s Step) Description
}

// A Description is what there is to say about a step.
type Description struct {
	Does  string // with these parameters
	Cut   string // what a power cut in it means when it is run again; empty: nothing of note
	Undo  string // how it is taken back; empty when it cannot be
	Limit string // its own timeout; empty: it has none

	// Trial is what its change must withstand also where it has no confirm, as
	// Reconnected is; empty is nothing.
	Trial string
	// EndsByCut says that a cut is what the step is for: it is done by it.
	EndsByCut bool
	// MayCutOff says that its change may cut the device off, which only a
	// confirm would notice before a reboot makes it final.
	MayCutOff bool
	// Places are where values may be left to the device: by the parameter's name,
	// at whatever depth.
	Places map[string]Place
	// Warnings are what the job's author may not have meant.
	Warnings []string
}

// Reconnected is what every trial asks for.
const Reconnected = "the device must be connected again"

// describe is what the step's kind says about it.
func (k Kinds) describe(s Step) Description {
	kind, known := k[s.Kind]
	if !known {
		return Description{Does: "is a kind that this program does not know"}
	}
	var d Description
	if teller, ok := kind.(Describer); ok {
		d = teller.Describe(s)
	}
	d.Does = cmp.Or(d.Does, "does what the kind "+s.Kind+" does")
	return d
}
