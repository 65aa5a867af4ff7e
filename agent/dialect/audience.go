package dialect

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// InRollout reports whether a device takes part in a job that is offered to
// percent (0 to 100) of the devices. The choice is stable: raising the
// percentage only adds devices.
func InRollout(id, device string, percent float64) bool {
	sum := sha256.Sum256([]byte(id + "\n" + device))
	return float64(binary.BigEndian.Uint64(sum[:8])%10000) < percent*100
}

// Addressed reports whether a device is among those that the author meant. An
// empty audience means everybody whom the topic reaches.
func Addressed(audience []string, device string, groups []string) bool {
	if len(audience) == 0 || slices.Contains(audience, "all") || slices.Contains(audience, "device/"+device) {
		return true
	}
	return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(audience, "group/"+g) })
}
