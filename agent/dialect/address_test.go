package dialect

import "testing"

func TestABrokersAddressMayHaveItsOtherNames(t *testing.T) {
	for text, want := range map[string]string{
		"mqtt://broker:1883":  "tcp://broker:1883",
		"mqtts://broker:8883": "tls://broker:8883",
		"MQTTS://broker:8883": "tls://broker:8883",
		"tls://broker:8883":   "tls://broker:8883",
		"ws://broker/mqtt":    "ws://broker/mqtt",
		"mqtt":                "mqtt",
		"":                    "",
	} {
		if got := BrokerAddress(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
