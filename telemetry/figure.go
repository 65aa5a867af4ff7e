package telemetry

// Figures are single numbers of a sample, by the names that services know them
// under: Device Defender's custom metrics, and those of AWS's own programs where
// they have one. What the board lacks is nil.
var Figures = map[string]func(*Sample) *float64{
	"cpu_usage": func(s *Sample) *float64 { // percent
		if s.CPU == nil {
			return nil
		}
		return s.CPU.Percent
	},
	"memory_usage": func(s *Sample) *float64 { // kB
		if s.Memory == nil {
			return nil
		}
		used := float64((s.Memory.Total - s.Memory.Available) / 1024)
		return &used
	},
	"memory_percent": func(s *Sample) *float64 {
		if s.Memory == nil {
			return nil
		}
		return s.Memory.Percent
	},
	"disk_percent": func(s *Sample) *float64 { // of the fullest
		var most *float64
		for _, d := range s.Disk {
			if d.Percent != nil && (most == nil || *d.Percent > *most) {
				most = d.Percent
			}
		}
		return most
	},
	"load": func(s *Sample) *float64 {
		if s.Load == nil {
			return nil
		}
		return &s.Load.M1
	},
	"temperature": func(s *Sample) *float64 { // degrees C
		if s.CPU == nil {
			return nil
		}
		return s.CPU.Celsius
	},
	"uptime": func(s *Sample) *float64 { // seconds
		up := float64(s.Uptime)
		return &up
	},
}
