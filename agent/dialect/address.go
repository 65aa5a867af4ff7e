package dialect

import "strings"

// Schemes are those of a broker's address.
const Schemes = "tcp, tls, ws or wss"

// schemes are other names for them, which brokers and other clients use.
var schemes = map[string]string{"mqtt": "tcp", "mqtts": "tls"}

// BrokerAddress is a broker's address with its scheme as this program calls it:
// mqtt is tcp, and mqtts is tls. What is no address stays as it is.
func BrokerAddress(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if own := schemes[strings.ToLower(scheme)]; ok && own != "" {
		return own + "://" + rest
	}
	return text
}
