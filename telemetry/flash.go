package telemetry

import (
	"path/filepath"
	"strconv"
	"strings"
)

// Flash is how worn one flash chip is, as far as the chip reports it.
type Flash struct {
	Name        string   `json:"name"`
	WearPercent *float64 `json:"wearPercent,omitempty"` // eMMC: of its life, in steps of ten; above 100 it is beyond what it was made for
	PreEOL      string   `json:"preEOL,omitempty"`      // eMMC: warning when 80 % of the spare blocks are used, urgent at 90
	MaxErases   uint64   `json:"maxErases,omitempty"`   // UBI: of the block that was erased most
	BadBlocks   uint64   `json:"badBlocks,omitempty"`   // UBI
}

// sampleFlash asks eMMC and UBI. SD cards and NOR flash report nothing.
func sampleFlash(t tree) []Flash {
	var all []Flash
	chips, _ := filepath.Glob(filepath.Join(t.sys, "block/mmcblk[0-9]"))
	for _, dir := range chips {
		f := Flash{Name: filepath.Base(dir), WearPercent: lifeUsed(word(dir, "device/life_time")), PreEOL: preEOL(word(dir, "device/pre_eol_info"))}
		if f.WearPercent != nil {
			all = append(all, f)
		}
	}
	volumes, _ := filepath.Glob(filepath.Join(t.sys, "class/ubi/ubi*"))
	for _, dir := range volumes {
		if erases := number(dir, "max_ec"); isPlausible("flash.maxErases", float64(erases)) {
			all = append(all, Flash{Name: filepath.Base(dir), MaxErases: erases, BadBlocks: number(dir, "bad_peb_count")})
		}
	}
	return all
}

// lifeUsed reads "0x02 0x01": for each of the two sorts of cells its tenth of
// the life, so that 2 is up to 20 percent. The worse one counts; 0 is untold.
func lifeUsed(text string) *float64 {
	worst := uint64(0)
	for _, f := range strings.Fields(text) {
		if n, err := strconv.ParseUint(f, 0, 8); err == nil && isPlausible("flash.wear", float64(n)) {
			worst = max(worst, n)
		}
	}
	if worst == 0 {
		return nil
	}
	used := float64(worst * 10)
	return &used
}

func preEOL(text string) string {
	switch n, _ := strconv.ParseUint(text, 0, 8); n {
	case 2:
		return "warning"
	case 3:
		return "urgent"
	}
	return ""
}

// number reads a file that holds one; 0 where there is none.
func number(elem ...string) uint64 {
	n, _ := strconv.ParseUint(word(elem...), 10, 64)
	return n
}
