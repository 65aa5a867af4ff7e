package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/cmd/ratchet/internal/private"
	"github.com/spf13/pflag"
)

// Options say how to reach the broker. CA, Cert, Key and PasswordFile are files.
type Options struct {
	Broker, Username, PasswordFile, CA, Cert, Key, Root string
}

// Flags adds the flags of the connection; each has a RATCHET_ variable as its default.
func (o *Options) Flags(f *pflag.FlagSet) {
	for _, flag := range []struct {
		to                     *string
		name, otherwise, usage string
	}{
		{&o.Broker, "broker", "", "the broker's `URL`: tcp:// tls:// ws:// wss://"},
		{&o.Username, "username", "", "user name at the broker"},
		{&o.PasswordFile, "password-file", "", "`file` with the password"},
		{&o.CA, "ca", "", "`file` with the certificates that may have signed the broker's"},
		{&o.Cert, "cert", "", "`file` with the client certificate"},
		{&o.Key, "key", "", "`file` with the client certificate's key"},
		{&o.Root, "root", "ratchet/v1", "`topic` under which everything lies"},
	} {
		variable := "RATCHET_" + strings.ToUpper(strings.ReplaceAll(flag.name, "-", "_"))
		value := flag.otherwise
		if v, ok := os.LookupEnv(variable); ok {
			value = v
		}
		f.StringVar(flag.to, flag.name, value, flag.usage+" ("+variable+")")
	}
}

// Validate reports what no connection could be made with, by the name of its flag.
func (o *Options) Validate() error {
	if o.Broker == "" {
		return errors.New("no broker: say which with --broker URL or RATCHET_BROKER")
	}
	o.Broker = dialect.BrokerAddress(o.Broker)
	u, err := url.Parse(o.Broker)
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"tcp", "tls", "ws", "wss"}, u.Scheme):
		return fmt.Errorf("--broker %q: want an address such as tls://broker:8883, with %s", o.Broker, dialect.Schemes)
	case u.User != nil:
		return errors.New("--broker: no user or password in the URL: use --username and --password-file")
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("--cert and --key belong together")
	case o.Root == "" || strings.ContainsAny(o.Root, "+#") || strings.HasSuffix(o.Root, "/"):
		return fmt.Errorf("--root %q: want a topic without + and #, such as ratchet/v1", o.Root)
	}
	return nil
}

func (o *Options) password() (string, error) {
	if o.PasswordFile == "" {
		return "", nil
	}
	data, err := private.Read(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading the password: --password-file: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func (o *Options) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		pem, err := private.ReadPublic(o.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s: no PEM certificate in it", o.CA)
		}
	}
	if o.Cert != "" {
		cert, err := private.ReadPublic(o.Cert)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		key, err := private.Read(o.Key)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("reading --cert and --key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
