package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ratchetd/ratchet/executor"
)

// figures are the columns of a sample, in the order of Point's Values.
var figures = []string{"cpu", "celsius", "load", "memory", "disk", "rx", "tx"}

// Figures name what a Point holds, in its order: percent of the CPU, degrees
// Celsius, the load of a minute, percent of the memory, percent of the fullest
// disk, and bytes per second in and out over all networks.
func Figures() []string { return figures }

// A grain is how finely a table keeps health.
type grain struct {
	table string
	every int64 // seconds of one row; 1 keeps each sample
}

var grains = []grain{{"health", 1}, {"health_5m", 300}, {"health_1h", 3600}}

// maxSamples is how many samples of one message are kept; a device sends at most
// so many at once.
const maxSamples = 2000

type sample struct {
	Time executor.Time `json:"time"`
	CPU  struct {
		Percent *float64 `json:"percent"`
		Celsius *float64 `json:"celsius"`
	} `json:"cpu"`
	Load *struct {
		M1 float64 `json:"m1"`
	} `json:"load"`
	Memory *struct {
		Percent float64 `json:"percent"`
	} `json:"memory"`
	Disk []struct {
		Percent float64 `json:"percent"`
	} `json:"disk"`
	Network []struct {
		RxRate float64 `json:"rxRate"`
		TxRate float64 `json:"txRate"`
	} `json:"network"`
}

// health keeps one sample or several that waited. One that was there counts once.
func (b *batch) health(id int64, payload []byte) error {
	var all []sample
	if json.Unmarshal(payload, &all) != nil {
		var one sample
		if json.Unmarshal(payload, &one) != nil {
			return nil
		}
		all = []sample{one}
	}
	for _, s := range all[:min(len(all), maxSamples)] {
		at := b.now
		if !s.Time.IsZero() {
			at = s.Time.Unix()
		}
		if at > b.now+3600 { // its clock is wrong, and it would lead the plot for ever
			at = b.now
		}
		if err := b.sample(id, at, s.values()); err != nil {
			return err
		}
	}
	return b.do("UPDATE devices SET seen = ? WHERE id = ?", b.now, id)
}

func (s sample) values() []any {
	values := make([]any, 7)
	if s.CPU.Percent != nil {
		values[0] = *s.CPU.Percent
	}
	if s.CPU.Celsius != nil {
		values[1] = *s.CPU.Celsius
	}
	if s.Load != nil {
		values[2] = s.Load.M1
	}
	if s.Memory != nil {
		values[3] = s.Memory.Percent
	}
	if len(s.Disk) > 0 {
		most := 0.0
		for _, d := range s.Disk {
			most = max(most, d.Percent)
		}
		values[4] = most
	}
	if len(s.Network) > 0 {
		var in, out float64
		for _, n := range s.Network {
			in, out = in+n.RxRate, out+n.TxRate
		}
		values[5], values[6] = in, out
	}
	return values
}

// sample keeps one as it is and in the means, which hold it for longer.
func (b *batch) sample(id, at int64, values []any) error {
	done, err := b.exec("INSERT INTO health (device, at, cpu, celsius, load, memory, disk, rx, tx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		append([]any{id, at}, values...)...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	for _, g := range grains[1:] {
		if err := b.do(g.mean(), append([]any{id, at - at%g.every}, values...)...); err != nil {
			return err
		}
	}
	return nil
}

// mean is the statement that adds a sample to a row. A figure that is missing on
// one side is the other's.
func (g grain) mean() string {
	text := "INSERT INTO " + g.table + " (device, at, cpu, celsius, load, memory, disk, rx, tx) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, at) DO UPDATE SET n = n + 1"
	for _, f := range figures {
		text += fmt.Sprintf(", %s = coalesce((%s * n + excluded.%s) / (n + 1), excluded.%s, %s)", f, f, f, f, f)
	}
	return text
}

// A Point is what a device felt at a time, or on average from then on. A figure
// that was not measured is nil.
type Point struct {
	At     time.Time
	Values []*float64 // by Figures
}

// Health is what a device felt from a time on until another, as finely as a plot
// of at most points can show it. Step is the time between two points; where
// several are missing the device was away.
func (m *Memory) Health(ctx context.Context, device string, from, to time.Time, points int) (all []Point, step time.Duration, err error) {
	g := grains[len(grains)-1]
	for _, finer := range grains {
		if finer.every*int64(points) >= int64(to.Sub(from)/time.Second) || finer.every == 1 && to.Sub(from) <= 3*time.Hour {
			g = finer
			break
		}
	}
	rows, err := m.read.QueryContext(ctx, `SELECT h.at, h.cpu, h.celsius, h.load, h.memory, h.disk, h.rx, h.tx FROM `+g.table+` h
		JOIN devices d ON d.id = h.device WHERE d.name = ? AND h.at >= ? AND h.at < ? ORDER BY h.at`, device, from.Unix(), to.Unix())
	if err != nil {
		return nil, 0, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		p := Point{Values: make([]*float64, len(figures))}
		into := []any{&at}
		for i := range p.Values {
			into = append(into, &p.Values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, 0, explain(err)
		}
		p.At = time.Unix(at, 0).UTC()
		all = append(all, p)
	}
	return all, time.Duration(g.every) * time.Second, rows.Err()
}
