package steptest

import (
	"os"
	"path/filepath"
)

// WirelessConfig is a UCI package as people leave it.
const WirelessConfig = `# made by hand

config wifi-device 'radio0'
	option channel 'auto'
	list scan_list '1'
	list scan_list '6'
	option country 'DE'

config wifi-iface
	option ssid 'guests'

config wifi-iface
	option ssid 'it'\''s "ours"'
`

// Wireless is a setup with that package.
func Wireless(dir string) error {
	return os.WriteFile(filepath.Join(dir, "wireless"), []byte(WirelessConfig), 0o600)
}
